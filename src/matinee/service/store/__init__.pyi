from .feedback import Feedback, Kind, NewFeedback, UserKey
from .store import Store

__all__ = ["Feedback", "Kind", "NewFeedback", "Store", "UserKey"]
