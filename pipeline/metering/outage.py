"""What a vendor's failure or refusal comes to when no further try is due: the error that ends attempt or run."""

from datetime import UTC, datetime

from pipeline.errors import InfrastructureError, ParkedError
from pipeline.memory.calls import Seat
from pipeline.metering.vendor_errors import FallBack, Final, Park, Stop, Unusable
from stages.artifacts import Failure
from stages.model import ModelError, Reply

_ADVICE = {
    "auth": "check the vendor's key and resume the run",
    "billing": "check the account's credit and resume the run",
    "bad_request": "check model and settings under stages.{stage} and resume the run",
}


class VendorStopError(InfrastructureError):
    """A vendor failed for good: no attempt of this run can go on."""

    def __init__(self, message: str, failure: Failure) -> None:
        super().__init__(message)
        self.failure = failure


class UnusableReplyError(Exception):
    """The attempt got no answer it could use. The runner catches it, never a stage."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class FallbackDueError(Exception):
    """The vendor has an outage, and the attempt starts again on its next fallback with the `seconds` it had left.

    The runner catches it, never a stage.
    """

    def __init__(self, failure: Failure, seconds: float) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.seconds = seconds


def ending(seat: Seat, error: ModelError, reaction: Final, *, seconds_left: float) -> Exception:
    """Return the error to raise for a failure that ends the attempt or moves it, stops the run or parks it."""
    said = f"{seat.vendor} {seat.model}, {error.kind}: {error.message}"
    match reaction:
        case FallBack(reason):
            failure = Failure(kind="vendor", code="fallback", message=f"{said} ({reason})")
            return FallbackDueError(failure, seconds_left)
        case Unusable():
            code = "refused" if error.refusal else error.kind
            return UnusableReplyError(Failure(kind="unusable", code=code, message=said))
        case Stop(reason):
            advice = _ADVICE.get(error.kind, "resume the run when the vendor answers again").format(stage=seat.stage)
            failure = Failure(kind="vendor", code=error.kind, message=said)
            return VendorStopError(f"{said} ({reason}); {advice}", failure)
        case Park(resume_at, config_key):
            at = datetime.fromtimestamp(resume_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
            words = f"{said}; the attempt's timeout passes before {at}"
            return ParkedError(words, resume_at=resume_at, config_key=config_key)


def refused(seat: Seat, reply: Reply) -> UnusableReplyError:
    """Return the error for a model that refused to answer."""
    said = reply.turn.text or "it gave no reason"
    message = f"{seat.vendor} {seat.model} refused to answer: {said}"
    return UnusableReplyError(Failure(kind="unusable", code="refused", message=message))
