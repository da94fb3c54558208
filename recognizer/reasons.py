"""The closed vocabulary of the recognizer: event types and reasons. Standard library only.

The same word stands in the log line, the metric, the mail, the remedy's file name and the docs.
"""

import enum


class EventType(enum.StrEnum):
    """The stages of one picture, in the order in which they happen; then what is told of the model itself."""

    INPUT_START = "input_start"
    INPUT_ERROR = "input_error"
    INPUT_SUCCESS = "input_success"
    PREPROCESS_COMPLETE = "preprocess_complete"
    INFERENCE_COMPLETE = "inference_complete"
    BUSINESS_OUTPUT = "business_output"
    MODEL_LOADED = "model_loaded"
    MODEL_CHECKED = "model_checked"


class InputReason(enum.StrEnum):
    """Why a picture could not be recognised, or what is odd about it.

    ``path_*`` is what is wrong with the name, ``file_*`` with the file, ``image_*`` with its content,
    ``tensor_*`` and ``model_*`` with what happened after decoding, ``event_*`` with the log itself.
    An ``input_error`` carries exactly one of these as its ``reason``; ``path_issues``, ``image_issues``,
    ``tensor_issues`` and ``event_issues`` list further ones.
    """

    # the path, seen without touching the disk
    PATH_WRONG_TYPE = "path_wrong_type"
    PATH_EMPTY = "path_empty"
    PATH_NUL = "path_nul"
    PATH_UNDECODABLE = "path_undecodable"
    PATH_LOSSY = "path_lossy"
    PATH_INVISIBLE_CHARACTER = "path_invisible_character"
    PATH_BIDI_CONTROL = "path_bidi_control"
    PATH_CONTROL_CHARACTER = "path_control_character"
    PATH_UNESCAPED_ESCAPE = "path_unescaped_escape"
    PATH_UNUSUAL_SPACE = "path_unusual_space"
    PATH_EDGE_SPACE = "path_edge_space"
    PATH_FULLWIDTH = "path_fullwidth"
    PATH_COMPATIBILITY_CHARACTER = "path_compatibility_character"
    PATH_NOT_NFC = "path_not_nfc"
    PATH_HOMOGLYPH = "path_homoglyph"
    PATH_QUOTED = "path_quoted"
    PATH_TRAILING_PUNCTUATION = "path_trailing_punctuation"
    PATH_BACKSLASH = "path_backslash"
    PATH_WINDOWS = "path_windows"
    PATH_URL = "path_url"
    PATH_REMOTE_URL = "path_remote_url"
    PATH_PERCENT_ENCODED = "path_percent_encoded"
    PATH_HTML_OR_U_ESCAPE = "path_html_or_u_escape"
    PATH_MOJIBAKE = "path_mojibake"
    PATH_NON_ASCII_ON_WINDOWS = "path_non_ascii_on_windows"
    PATH_NOT_EXPANDED = "path_not_expanded"
    PATH_COMPONENT_TOO_LONG = "path_component_too_long"
    PATH_TOO_LONG = "path_too_long"
    # the path, seen against what is on the disk
    PATH_PLUS_FOR_SPACE = "path_plus_for_space"
    PATH_CASE_MISMATCH = "path_case_mismatch"
    PATH_NEAR_NAME = "path_near_name"
    PATH_OUTSIDE_ROOTS = "path_outside_roots"
    # the file
    FILE_MISSING = "file_missing"
    FILE_EMPTY = "file_empty"
    FILE_IS_DIRECTORY = "file_is_directory"
    FILE_NOT_REGULAR = "file_not_regular"
    FILE_PERMISSION_DENIED = "file_permission_denied"
    FILE_SYMLINK_BROKEN = "file_symlink_broken"
    FILE_SYMLINK_LOOP = "file_symlink_loop"
    FILE_PARENT_NOT_DIRECTORY = "file_parent_not_directory"
    FILE_TOO_LARGE = "file_too_large"
    FILE_IO_ERROR = "file_io_error"
    FILE_STILL_WRITING = "file_still_writing"
    # the content
    IMAGE_NOT_AN_IMAGE = "image_not_an_image"
    IMAGE_FORMAT_UNSUPPORTED = "image_format_unsupported"
    IMAGE_TRUNCATED = "image_truncated"
    IMAGE_CORRUPT = "image_corrupt"
    IMAGE_TOO_MANY_PIXELS = "image_too_many_pixels"
    IMAGE_WRONG_EXTENSION = "image_wrong_extension"
    IMAGE_GRAYSCALE = "image_grayscale"
    IMAGE_SIXTEEN_BIT = "image_sixteen_bit"
    IMAGE_TWELVE_BIT = "image_twelve_bit"
    IMAGE_FLOATING_POINT = "image_floating_point"
    IMAGE_ALPHA = "image_alpha"
    IMAGE_COLOR_SPACE = "image_color_space"
    IMAGE_EXIF_ROTATED = "image_exif_rotated"
    IMAGE_ANIMATED = "image_animated"
    IMAGE_TRAILING_DATA = "image_trailing_data"
    IMAGE_METADATA_BOMB = "image_metadata_bomb"
    IMAGE_CONSTANT = "image_constant"
    IMAGE_BLURRED = "image_blurred"
    IMAGE_DUPLICATE = "image_duplicate"
    IMAGE_TINY = "image_tiny"
    IMAGE_DECODER_DIED = "image_decoder_died"
    IMAGE_DECODER_STALLED = "image_decoder_stalled"
    # after decoding
    TENSOR_NOT_FINITE = "tensor_not_finite"
    TENSOR_CHANNEL_ORDER = "tensor_channel_order"
    TENSOR_NOT_SCALED = "tensor_not_scaled"
    TENSOR_NORMALIZATION = "tensor_normalization"
    TENSOR_CONSTANT = "tensor_constant"
    TENSOR_LAYOUT = "tensor_layout"
    TENSOR_OVERFLOW = "tensor_overflow"
    TENSOR_RESIZE = "tensor_resize"
    TENSOR_SIGNATURE = "tensor_signature"
    TENSOR_CROPPED = "tensor_cropped"
    TENSOR_UNUSUAL = "tensor_unusual"
    MODEL_OUT_OF_MEMORY = "model_out_of_memory"
    MODEL_DEVICE_LOST = "model_device_lost"
    MODEL_DEVICE_FALLBACK = "model_device_fallback"
    MODEL_OUTPUT_INVALID = "model_output_invalid"
    MODEL_SCORE_IS_LOGIT = "model_score_is_logit"
    MODEL_FAILED = "model_failed"
    # the model itself
    MODEL_REFUSED = "model_refused"
    MODEL_PARTIAL_LOAD = "model_partial_load"
    MODEL_LABELS_MISMATCH = "model_labels_mismatch"
    MODEL_TRAIN_MODE = "model_train_mode"
    MODEL_CANARY_FAILED = "model_canary_failed"
    # the log
    EVENT_TIMESTAMP_UNIT = "event_timestamp_unit"
    EVENT_LINE_ILLEGAL = "event_line_illegal"
    EVENT_GAP = "event_gap"
    # the service gave no reason of its own
    UNSPECIFIED = "unspecified"


PATH_REASONS = frozenset(reason for reason in InputReason if reason.startswith("path_"))
DISK_REASONS = frozenset(
    {
        InputReason.PATH_PLUS_FOR_SPACE,
        InputReason.PATH_CASE_MISMATCH,
        InputReason.PATH_NEAR_NAME,
        InputReason.PATH_OUTSIDE_ROOTS,
    }
)
"""Path reasons that only a look at the disk can give; the others are seen in the name alone."""
