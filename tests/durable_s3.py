"""An S3 server process that survives `kill -9`: moto, with every change noted in a file before it is made, and replayed at start.

python -m tests.durable_s3 PORT FILE
"""

import base64
import io
import json
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
from werkzeug.test import run_wsgi_app

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


@dataclass
class Durable:
    """Notes what changes something, then hands it on."""

    application: Application
    notes: Path
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
            self._note(environ, body)
        return self.application(environ, start_response)

    def _note(self, environ: dict[str, Any], body: bytes) -> None:
        request = {name: value for name, value in environ.items() if isinstance(value, str)}
        line = json.dumps({"request": request, "body": base64.b64encode(body).decode()}) + "\n"
        with self.lock, self.notes.open("a") as stream:
            stream.write(line)

    def replay(self) -> None:
        """Make every noted change again; the last note may have been cut short by a kill."""
        whole = self.notes.read_text().rpartition("\n")[0] if self.notes.is_file() else ""
        self.notes.write_text(whole + "\n" if whole else "")
        for line in whole.splitlines():
            note = json.loads(line)
            wsgi = {"wsgi.input": io.BytesIO(base64.b64decode(note["body"])), "wsgi.errors": sys.stderr}
            run_wsgi_app(self.application, {"wsgi.version": (1, 0), "wsgi.multithread": True, **note["request"], **wsgi})


if __name__ == "__main__":
    served = Durable(DomainDispatcherApplication(create_backend_app), Path(sys.argv[2]))
    served.replay()
    make_server("127.0.0.1", int(sys.argv[1]), served, threaded=True).serve_forever()
