"""What the layers of a stack say of the list of defects: moved positions and a corrected list, each taken over on request."""

from __future__ import annotations

import numpy as np

from ui.jobs.stack import StackOutcome
from ui.result.corrected_list import corrected_list, offer_corrected_list
from ui.result.moved_positions import offer_moved_positions
from ui.state.workspace import Workspace


def show_list_offers(space: Workspace, outcome: StackOutcome) -> None:
    """Offer what the layers would have in place of the marks, where they would."""
    question = outcome.question
    if question.refine_positions:
        marks, moved = question.positions, np.asarray(outcome.result.positions)
        offer_moved_positions(space, (marks, moved, question.labels), "Several layers together have the defects elsewhere")

    def again() -> None:
        space.stack_at_once = True

    listed = corrected_list({name: view.estimate for name, view in outcome.views.items()})
    if listed is not None:
        offer_corrected_list(space, question.positions, listed, again)
