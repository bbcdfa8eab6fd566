"""Flow, played as stories."""
