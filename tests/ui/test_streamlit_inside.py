"""What is not promised of Streamlit is used in one file, and is still there as that file expects it."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from streamlit.runtime import Runtime
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_run_context import ScriptRunContext

from ui.streamlit_inside import behind_a_server, close_session, session_id

ROOT = Path(__file__).resolve().parents[2]
INSIDE = re.compile(r"^\s*(from|import) streamlit\.(runtime|web|proto|elements|connections|watcher)\b", re.M)


def test_one_file_alone_looks_into_streamlit():
    sources = [*ROOT.glob("ui/**/*.py"), *ROOT.glob("pages/*.py"), ROOT / "app.py"]
    assert len(sources) > 100
    assert [path.name for path in sources if INSIDE.search(path.read_text(encoding="utf-8"))] == ["streamlit_inside.py"]


def test_what_is_used_is_still_there():
    assert list(inspect.signature(Runtime.is_active_session).parameters) == ["self", "session_id"]
    assert list(inspect.signature(Runtime.close_session).parameters) == ["self", "session_id"]
    assert "eventloop" in inspect.getsource(Runtime._get_async_objs) + inspect.getsource(inspect.getmodule(Runtime))
    assert isinstance(PagesManager.uses_pages_directory, bool | None)
    assert callable(get_script_run_ctx) and "session_id" in ScriptRunContext.__annotations__


def test_without_a_server_there_is_no_session():
    assert not behind_a_server() and session_id() is None


def test_a_session_is_closed_on_the_loop_of_the_server_and_a_changed_streamlit_is_no_error():
    told = []

    class Server:
        close_session = "door"

        def _get_async_objs(self):
            return type("Objects", (), {"eventloop": self})

        def call_soon_threadsafe(self, act, name):
            told.append((act, name))

    close_session(Server(), "one")
    close_session(object(), "two")
    assert told == [("door", "one")]
