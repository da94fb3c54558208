from tests.support.model import digits_model

__all__ = ["digits_model"]
