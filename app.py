"""The application: python run.py app. Pages are declared here and nothing else happens."""

from pathlib import Path

import streamlit as st

from ui.autosave.keeping import attend_browser
from ui.state.workspace import workspace

st.set_page_config(page_title="QPI kernels", page_icon=str(Path(__file__).parent / "ui" / "icon.png"), layout="wide")
page = st.navigation(
    [
        st.Page(
            "pages/extract.py",
            title="Extract",
            icon=":material/center_focus_strong:",
            default=True,
            help="From a map and its defects to the kernel.",
        ),
        st.Page(
            "pages/stacks.py",
            title="Stacks",
            icon=":material/stacks:",
            help="The kernel of every energy of a stack, and its dispersion.",
        ),
        st.Page(
            "pages/synthesize.py",
            title="Synthesize",
            icon=":material/tune:",
            help="Simulate a map with a known kernel and test every method on it.",
        ),
        st.Page(
            "pages/latent.py",
            title="Latent space",
            icon=":material/bubble_chart:",
            help="Where the training kernels lie, and where yours does.",
        ),
        st.Page(
            "pages/benchmark.py",
            title="Benchmark",
            icon=":material/leaderboard:",
            help="What each released model is and what every method reaches.",
        ),
        st.Page(
            "pages/documentation.py",
            title="Documentation",
            icon=":material/menu_book:",
            help="Tutorial, method and limits, Python, command line, training.",
        ),
    ],
    position="top",
)
# No primary colour can be read as text on the dark page and carry white letters, too (4.5:1, WCAG AA): filled buttons keep the light one.
st.html(
    '<style>[data-testid="stBaseButton-primary"]:enabled { background-color: #0f6e84; border-color: #0f6e84; }'
    '[data-testid="stBaseButton-primary"]:enabled:hover { background-color: #0b5668; border-color: #0b5668; }</style>'
)
attend_browser(workspace())
page.run()
