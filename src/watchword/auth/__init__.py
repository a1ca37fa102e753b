"""Watchword and BlockingWatchword, the two kinds of instance."""

from watchword.auth.blocking import BlockingWatchword
from watchword.auth.watchword import Watchword

__all__ = ["BlockingWatchword", "Watchword"]
