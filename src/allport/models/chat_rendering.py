"""From a chat to the text that a local model reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from allport.errors import ModelError
from allport.models.respondent import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["PLAIN_CUE", "ChatRenderer"]

PLAIN_CUE = "Answer:"
"""What a plain prompt ends with where the question brings no cue of its own."""

_TEMPLATE_VARIABLES: dict[str, Any] = {
    # Models that can think aloud first are asked not to: the answer is read right away.
    "enable_thinking": False,
    # Llama 3 templates write today's date into every prompt; a measurement must not change with it.
    "date_string": "26 Jul 2024",
}
_PROBE = "a system message"


class ChatRenderer:
    """Renders chats with the tokenizer's own template, or plainly where it has none.

    A system message goes where the template puts it; where the template refuses or drops
    it, it is put before the first message of the user. Plain prompts are the messages' texts with
    blank lines between them. A control token that stands inside a message is broken up, so that it
    is read as text: no item can end the user's turn.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Render for a tokenizer.

        Raises:
            ModelError: Its chat template renders nothing.
        """
        self._tokenizer = tokenizer
        template = getattr(tokenizer, "chat_template", None)
        if isinstance(template, dict):
            template = template.get("default")
        self.template: str | None = template or None
        """Source of the chat template; None for a base model."""
        self._control = sorted(
            token
            for token in tokenizer.get_added_vocab()
            if len(token) > 1
            and (token in tokenizer.all_special_tokens or token in (self.template or ""))
        )
        self.takes_system = self.template is None or self._takes_system()
        """Whether a system message is rendered as such."""

    def render(self, messages: Sequence[Message], cue: str = "") -> str:
        """The prompt, up to where the answer begins.

        Args:
            messages: The chat, ending with the user's turn.
            cue: Beginning of the answer, written for the model.

        Returns:
            The prompt; special tokens of a chat template stand in it as text.

        Raises:
            ModelError: The template cannot render this chat.
        """
        [prompt] = self.render_all([messages], [cue])
        return prompt

    def render_all(self, chats: Sequence[Sequence[Message]], cues: Sequence[str]) -> list[str]:
        """The prompts of many chats; see `render`."""
        plain = [[Message(m.role, self._as_text(m.content)) for m in chat] for chat in chats]
        if self.template is None:
            return [
                "\n\n".join([*(m.content for m in chat), cue or PLAIN_CUE])
                for chat, cue in zip(plain, cues, strict=True)
            ]
        if not self.takes_system:
            plain = [_folded(chat) for chat in plain]
        try:
            rendered = self._templated(plain)
        except Exception:  # a template is a program of its own and may raise anything
            rendered = [self._templated_or_refused(chat) for chat in plain]
        return [text + cue for text, cue in zip(rendered, cues, strict=True)]

    def _templated_or_refused(self, chat: Sequence[Message]) -> str:
        try:
            return self._templated([chat])[0]
        except Exception as error:
            roles = ", ".join(message.role for message in chat)
            raise ModelError(
                f"The model's chat template cannot render the turns {roles}: "
                f"{str(error).rstrip('.')}."
            ) from error

    def _templated(self, chats: Sequence[Sequence[Message]]) -> list[str]:
        if not chats:
            return []
        rendered = self._tokenizer.apply_chat_template(
            [[{"role": m.role, "content": m.content} for m in chat] for chat in chats],
            tokenize=False,
            add_generation_prompt=True,
            **_TEMPLATE_VARIABLES,
        )
        return [str(text) for text in rendered]

    def _takes_system(self) -> bool:
        try:
            return _PROBE in self._templated([[Message("system", _PROBE), Message("user", "?")]])[0]
        except Exception:  # such as Gemma's template, which raises an error of its own
            return False

    def _as_text(self, content: str) -> str:
        try:
            content.encode()
        except UnicodeEncodeError:  # half a character, such as JSON's "\\ud83d", has no tokens
            content = content.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        for token in self._control:
            if token in content:
                # A character of no width inside keeps what is read, and is no control token.
                content = content.replace(token, f"{token[0]}\u200b{token[1:]}")
        return content


def _folded(messages: Sequence[Message]) -> list[Message]:
    """The chat with its system messages at the head of the first message of the user."""
    system = [message.content for message in messages if message.role == "system"]
    rest = [message for message in messages if message.role != "system"]
    if not system:
        return rest
    if not rest or rest[0].role != "user":
        return [Message("user", "\n\n".join(system)), *rest]
    return [Message("user", "\n\n".join([*system, rest[0].content])), *rest[1:]]
