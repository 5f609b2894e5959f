"""Checks an answer by asking a chat model, which has to quote what it goes by."""

from doctrail_core.grounding.judge.chat import Ask, AskLater, Chat, ChatMessage, Reply
from doctrail_core.grounding.judge.verifier import JudgeVerifier
from doctrail_core.grounding.spending import Budget, Price

__all__ = [
    "Ask",
    "AskLater",
    "Budget",
    "Chat",
    "ChatMessage",
    "JudgeVerifier",
    "Price",
    "Reply",
]
