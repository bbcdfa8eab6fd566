"""What a check's baseline was taken under: change any of it, and the baseline says nothing any more. Pure."""

import hashlib
import json

from pipeline.config.settings import CheckSettings, Settings


def conditions(settings: Settings, check: CheckSettings) -> str:
    """Return a digest of a check's command and of the environment it runs in."""
    sandbox = settings.sandbox.model_dump(mode="json", include={"image", "dockerfile", "setup", "network"})
    facts = (check.run, check.report, sandbox, settings.repo.subdir)
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode(errors="surrogatepass")).hexdigest()[:16]
