"""A console that a person types at: an editor in front of it, prompts, and interrupts.

Whoever has the bytes calls :meth:`Terminal.receive`; what is to be shown goes to ``send`` as bytes.
"""

from collections.abc import Callable

from ._console import Console
from ._editor import Editor
from ._grammar import Level
from ._history import History

TYPE_AHEAD = 1 << 16
"""Characters typed while a command runs; beyond that they are lost."""


class Terminal:
    """An editor and its console.

    ``newline``: what ends the lines that commands print.  ``console.ended`` and the like are the owner's to set."""

    def __init__(
        self,
        top: Level,
        name: str,
        send: Callable[[bytes], object],
        *,
        newline: str = "\n",
        history_file: str | None = None,
    ) -> None:
        self._send = send
        self._newline = newline
        self.console = Console(top, name, self._print, log_out=self._print_log)
        self.console.idle = self._idle
        self.history = History(history_file)
        self.editor = Editor(self._show, self.history, self.console.candidates)
        self._typed = ""
        self._feeding = False
        self._at_prompt = False
        self.rested: Callable[[], object] = lambda: None
        """Called whenever all that was typed is done."""

    @property
    def busy(self) -> bool:
        """Whether there is something left to do of what was typed."""
        return bool(self._typed) or self.console.waiting

    def start(self, greeting: str) -> None:
        """Show *greeting*, a line or nothing, and the first prompt."""
        self._print(greeting)
        if self.history.failure:
            self._print(f"history: {self.history.failure}\n")
        self._idle()

    def receive(self, data: bytes) -> None:
        """Take keys."""
        text = self.editor.decode(data)
        self._typed = (self._typed + text)[: max(TYPE_AHEAD, len(text))]
        self._feed()

    def _feed(self) -> None:
        if self._feeding:
            return
        self._feeding = True
        try:
            while self._typed and self.console.is_open:
                if self.console.waiting:
                    if "\x03" not in self._typed:
                        break
                    self._typed = self._typed.rpartition("\x03")[2]
                    self._interrupt()
                    continue
                why, self._typed = self.editor.feed(self._typed)
                if why == "feed":
                    if self.console.forget_lines is not None:  # an empty line would end what has several
                        continue
                    self._show("\r\n")
                    why = "line"
                if why == "line":
                    self._at_prompt = False
                    line = self.editor.take()
                    self.history.add(line)
                    self.console.enter(line)
                elif why == "end":
                    self._print("\n")
                    self.console.leave()
                    self._idle()
                elif why == "interrupt":
                    self._interrupt()
                else:
                    break
        finally:
            self._feeding = False

    def _interrupt(self) -> None:
        if self.console.interrupt() or self.editor.line:
            self._show("^C\r\n")
            self.editor.take()
            self._at_prompt = False
            self._idle()

    def _idle(self) -> None:
        if self.console.is_open and not self.console.waiting and not self._at_prompt:
            self._at_prompt = True
            self.editor.prompt = self.console.prompt()
            self.editor.width = self.console.columns
            self.editor.draw()
        if not self._feeding:
            self._feed()
            if not self.busy:
                self.rested()

    def _print_log(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace")
        if self._at_prompt and self.editor.line:
            self.editor.hide()
            self._print(text)
            self.editor.draw()
        else:
            self._print(text)

    def _print(self, text: str) -> None:
        self._show(text if self._newline == "\n" else text.replace("\r\n", "\n").replace("\n", self._newline))

    def _show(self, text: str) -> None:
        if text:
            self._send(text.encode("utf-8", "surrogateescape"))
