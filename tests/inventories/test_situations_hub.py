"""Why the gated set cannot be had, told by a hub that runs on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from allport.errors import InventoryError
from allport.inventories import TRAIT_HUB_ID, read_situations

REFUSALS = {
    "": (401, {"X-Error-Code": "GatedRepo"}),
    "hf_unaccepted": (403, {"X-Error-Code": "GatedRepo"}),
    "hf_wrong": (401, {"X-Error-Message": "Invalid credentials in Authorization header"}),
    "hf_narrow": (403, {"X-Error-Message": "Enable access to public gated repositories"}),
    "hf_elsewhere": (404, {"X-Error-Code": "RepoNotFound"}),
    "hf_ill": (501, {}),
}
"""What the hub answers by token."""
SAID = {
    "": "mirlab/TRAIT is gated and no token is set: accept its terms on https://huggingface.co/"
    "datasets/mirlab/TRAIT, and set HF_TOKEN or log in with `hf auth login`",
    "hf_unaccepted": "The terms of mirlab/TRAIT are not accepted by the account of your token: "
    "accept them on https://huggingface.co/datasets/mirlab/TRAIT",
    "hf_wrong": "The hub does not take your token for mirlab/TRAIT (HTTP 401): set HF_TOKEN to a "
    "valid one that may read gated sets, or log in anew with `hf auth login`",
    "hf_narrow": "The hub does not take your token for mirlab/TRAIT (HTTP 403): set HF_TOKEN to a "
    "valid one that may read gated sets, or log in anew with `hf auth login`",
    "hf_elsewhere": "The hub has no data set mirlab/TRAIT that your token may see: look whether "
    "https://huggingface.co/datasets/mirlab/TRAIT is still there",
    "hf_ill": "The hub fails to answer for mirlab/TRAIT (HTTP 501): try again later",
}
ELSE = "; or give the path of a file of it."
ASK = """
import os, sys, time
from allport.errors import InventoryError
from allport.inventories import read_situations

time.sleep = lambda seconds: None  # between the tries of the hub's client
for token in sys.argv[1:]:
    os.environ["HF_TOKEN"] = token
    try:
        read_situations("mirlab/TRAIT")
    except InventoryError as error:
        print(str(error), flush=True)
"""


class Hub(BaseHTTPRequestHandler):
    """A hub that has nothing for anybody, each for a reason of their own."""

    def do_GET(self) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        status, headers = REFUSALS[token]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def asked(port: int, folder: Path, *tokens: str) -> list[str]:
    """What is said to each token by the hub at a port; "" is no token."""
    pytest.importorskip("datasets")
    # Nothing of the machine's own: no token, no cache, no offline mode.
    own = ("HF_", "HUGGING", "TRANSFORMERS_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    environment |= {
        "HF_ENDPOINT": f"http://127.0.0.1:{port}",
        "HF_HOME": str(folder / "hf"),
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    done = subprocess.run(
        [sys.executable, "-c", ASK, *tokens],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        cwd=folder,
        env=environment,
    )
    return done.stdout.splitlines()


def test_each_refusal_is_told_in_its_own_sentence(hub: ThreadingHTTPServer, tmp_path: Path) -> None:
    told = asked(hub.server_address[1], tmp_path, *REFUSALS)
    assert told == [said + ELSE for said in SAID.values()]


def test_a_hub_out_of_reach_is_no_matter_of_tokens(
    hub: ThreadingHTTPServer, tmp_path: Path
) -> None:
    port = hub.server_address[1]
    hub.shutdown()
    hub.server_close()
    (told,) = asked(port, tmp_path, "hf_unaccepted")
    assert told.startswith("The hub cannot be reached for mirlab/TRAIT (")
    assert told.endswith("): check your connection" + ELSE)


def test_asking_for_no_network_is_said_as_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("datasets")
    monkeypatch.chdir(tmp_path)
    # The tests run with HF_HUB_OFFLINE=1.
    with pytest.raises(InventoryError, match="HF_HUB_OFFLINE forbids asking the hub: unset it; or"):
        read_situations(TRAIT_HUB_ID)


def test_without_the_datasets_library_it_is_said_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InventoryError, match=r"needs the datasets library: pip install 'allport\["):
        read_situations(TRAIT_HUB_ID)
