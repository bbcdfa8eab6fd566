"""Sign what only the server may have written, so that an edited or invented reasoning block is noticed."""

import base64
import hashlib
import json
from typing import Any

_SECRET = "loopback"


def seal(*parts: Any) -> str:
    """Return a signature over JSON values."""
    text = json.dumps([_SECRET, *parts], sort_keys=True)
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
