"""What came out for one picture."""

from dataclasses import dataclass
from typing import Any

from recognizer.encode import encode
from recognizer.picture_format import ImageFormat
from recognizer.reasons import InputReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One picture's answer, or the reason why there is none.

    file_path            the path as it was given
    request_id           joins it with its events
    labels, scores       the three best, best first; scores from 0 to 1; empty when it failed
    reason, message      why it failed; None and empty when it did not
    image_issues         what is odd about the picture though it was recognised
    path_issues          what is wrong with the path
    path_cleaned         the path that was probably meant, when it differs, and whether a file stands there
    path_suggested       the existing file that was meant; of a picture that was recognised: which was read instead
    shape, image_format  the file's height, width, channels and its format, when it could be decoded
    """

    file_path: str
    request_id: str
    model_name: str
    labels: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    reason: InputReason | None = None
    message: str = ""
    image_issues: tuple[InputReason, ...] = ()
    path_issues: tuple[InputReason, ...] = ()
    path_cleaned: str | None = None
    path_cleaned_exists: bool | None = None
    path_suggested: str | None = None
    shape: tuple[int, int, int] | None = None
    image_format: ImageFormat | None = None

    @property
    def ok(self) -> bool:
        """Whether the picture was recognised."""
        return self.reason is None

    def to_json(self) -> str:
        """One line of valid JSON, its names those of the events; what the picture has no value for is left out."""
        return encode(self.fields()).decode().rstrip("\n")

    def fields(self) -> dict[str, Any]:
        """What `to_json` writes, by name."""
        fields: dict[str, Any] = {
            "file_path": self.file_path,
            "status": "success" if self.ok else "error",
            "top1_label": self.labels[0] if self.labels else None,
            "top1_score": self.scores[0] if self.scores else None,
            "top3_labels": self.labels,
            "top3_scores": self.scores,
            "reason": self.reason,
            "error": self.message,
            "image_issues": self.image_issues,
            "path_issues": self.path_issues,
            "path_cleaned": self.path_cleaned,
            "path_cleaned_exists": self.path_cleaned_exists,
            "path_suggested": self.path_suggested,
            "shape": self.shape,
            "image_format": self.image_format,
            "model_name": self.model_name,
            "request_id": self.request_id,
        }
        return {name: value for name, value in fields.items() if value not in (None, (), "")}
