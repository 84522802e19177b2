"""The Benchmark page: what each released model is, what every method reached, and the paper's tables beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from qpi_core.base.errors import InputError
from qpi_core.evaluation.benchmark.measure import CEILING, LIMIT
from qpi_core.evaluation.benchmark.scenes import DEFECT_BINS, HELD_OUT_SEED
from qpi_core.evaluation.benchmark.scenes import meaning as variant_meaning
from qpi_core.evaluation.results_file import PaperTables, Results, read_results, results_from
from qpi_core.networks.checkpoints import ModelInfo, list_models
from ui.charts.benchmark import MEASURES, Slice, measure_chart, method_name, value_of
from ui.charts.subplots import PLOTLY_CONFIG
from ui.state.loaders import current_weights_hash
from ui.state.workspace import page_workspace
from ui.widgets.bottom_bar import show_bottom_bar
from ui.widgets.progress_steps import plain

_BY_NOISE, _BY_DEFECTS, _BY_KIND = "Noise", "Number of defects", "Kind of scene"
_REFERENCES = {
    CEILING: "Decoder ceiling: Decoder_K(Encoder_K(A)).",
    LIMIT: "Formula limit: the least error, about, of whoever knows Eq. 7, the positions, the noise and the symmetry order (Cramér-Rao).",
}
_PAPER_SCALE = "MAE, MSE and RMSE on the paper's scale: twice (MSE: four times) the error on [0, 1]."


def show_benchmark_page() -> None:
    """Show the whole page."""
    show_bottom_bar(page_workspace("Benchmark"), "Benchmark")
    models = list_models()
    left, right = st.columns([1, 1], gap="medium")
    with left:
        model = _choose_model(models)
    with right:
        uploaded = _uploaded()
    measured = _measured(model) if model is not None else None
    sources = [results for results in (measured, uploaded) if results is not None]
    titles = ["Results", "Paper's tables", "How it was measured", "Model card"]
    results_tab, paper_tab, how_tab, card_tab = st.tabs(titles)
    with results_tab:
        _show_results(sources)
    with paper_tab:
        _show_paper(sources)
    with how_tab:
        for source in sources:
            _show_how(source, model)
    with card_tab:
        _show_card(model)


def _choose_model(models: list[ModelInfo]) -> ModelInfo | None:
    if not models:
        st.info("No released model is installed. Train one: python -m qpi_core train --help", icon=":material/info:")
        return None
    return st.selectbox(
        "Released model",
        models,
        format_func=lambda info: f"{info.title} ({info.name})",
        key="benchmark_model",
        help="Only one model is installed." if len(models) == 1 else "Whose card and measurements are shown.",
    )


def _uploaded() -> Results | None:
    upload = st.file_uploader(
        "Compare with other results (JSON)",
        key="benchmark_upload",
        max_upload_size=16,
        help="The summary.json of a benchmark folder, a model's metrics.json, or what evaluate or paper wrote. "
        "It is shown dashed beside the released numbers.",
    )
    if upload is None:
        return None
    try:
        return read_results(upload.getvalue(), upload.name)
    except InputError as error:
        st.error(plain(str(error)))
        return None


def _measured(model: ModelInfo) -> Results | None:
    try:
        return results_from(model.metrics, model.name)
    except InputError as error:
        st.warning(plain(str(error)))
        return None


@st.fragment
def _show_results(sources: Sequence[Results]) -> None:
    sources = [source for source in sources if source.cells]
    if not sources:
        st.info("No benchmark has been measured yet. Run: python -m qpi_core benchmark --out results/benchmark", icon=":material/info:")
        return
    columns = st.columns([1.3, 1, 1.6], gap="medium", vertical_alignment="bottom")
    along = columns[0].segmented_control(
        "Against", [_BY_NOISE, _BY_DEFECTS, _BY_KIND], default=_BY_NOISE, required=True, key="benchmark_along", help="The horizontal axis."
    )
    measure = columns[1].selectbox(
        "Measure", list(MEASURES), format_func=lambda name: MEASURES[name].title, key="benchmark_measure", help="What is compared."
    )
    with columns[2]:
        part, what = _choose_slice(sources, str(along))
    figure = measure_chart(sources, part, measure)
    if figure["data"]:  # Streamlit refuses a figure without any; the table says that nothing was measured
        alt = f"{MEASURES[measure].title} of every method against {part.title}"
        st.plotly_chart(figure, width="stretch", key="benchmark_chart", config=PLOTLY_CONFIG, alt=alt)
    shown = {method for source in sources for method in source.methods()}
    references = " ".join(text for name, text in _REFERENCES.items() if name in shown)
    st.caption(f"{MEASURES[measure].help} {what} Bars: 95 % bootstrap interval (RMSE). {references}")
    _show_table(sources, part, measure)


def _choose_slice(sources: Sequence[Results], along: str) -> tuple[Slice, str]:
    """Show what is held fixed, and return the cells along the chosen axis with a sentence on the fixed part."""
    levels = sorted({level for source in sources for level in source.noise_levels()})
    variants = list(dict.fromkeys(variant for source in sources for variant in source.variants()))
    left, right = st.columns(2)
    variant = left.selectbox(
        "Kind of scene",
        variants,
        key="benchmark_variant",
        disabled=along == _BY_KIND,
        help="All kinds are shown." if along == _BY_KIND else "Which scenes: on or off the pixel grid, wrong clicks, other kernels.",
    )
    level = right.selectbox(
        "Noise",
        levels,
        format_func="{:g}".format,
        key="benchmark_noise",
        index=min(2, len(levels) - 1),
        disabled=along == _BY_NOISE,
        help="All noise levels are shown." if along == _BY_NOISE else "σ of the noise over the standard deviation of the clean map.",
    )
    if along == _BY_KIND:
        part = Slice("kind of scene", tuple(variants), lambda r, method, i: r.find(variants[i], level, method))
        return part, f"Noise {level:g}."
    words = variant_meaning(variant)
    meaning = f"{plain(variant)}." if words == variant else f"{plain(variant)}: {plain(words)}."
    if along == _BY_DEFECTS:
        bins = [f"{low}-{high}" for low, high in DEFECT_BINS]
        return Slice(
            "number of defects", tuple(bins), lambda r, method, i: r.find(variant, level, method, bins[i])
        ), f"{meaning} Noise {level:g}."
    ticks = tuple(f"{value:g}" for value in levels)
    return Slice("noise (σ over that of the clean map)", ticks, lambda r, method, i: r.find(variant, levels[i], method)), meaning


def _show_table(sources: Sequence[Results], part: Slice, measure: str) -> None:
    import pandas as pd

    intervals = measure == "rmse" and st.toggle(
        "95 % intervals in the table", key="benchmark_intervals", help="As text; not sortable by size."
    )
    rows = []
    for source in sources:
        for method in source.methods():
            cells = [part.find(source, method, tick) for tick in range(len(part.ticks))]
            if any(value_of(cell, measure) is not None for cell in cells):
                written = [_with_interval(cell) if intervals else value_of(cell, measure) for cell in cells]
                known = [cell for cell in cells if cell is not None]
                counts = {"Scenes": sum(cell.scenes for cell in known), "Refused": sum(cell.failures for cell in known)}
                label = {"Results": source.name} if len(sources) > 1 else {}
                rows.append({**label, "Method": method_name(method), **dict(zip(part.ticks, written, strict=True)), **counts})
    if not rows:
        st.caption("Nothing was measured here: choose another measure, noise level or kind of scene.")
        return
    formats = {} if intervals else {tick: st.column_config.NumberColumn(format=MEASURES[measure].digits) for tick in part.ticks}
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch", column_config=formats, key="benchmark_table")


def _with_interval(cell: object) -> str:
    from qpi_core.evaluation.benchmark.summary import Cell
    from qpi_core.evaluation.benchmark.tables import error_with_interval

    return error_with_interval(cell) if isinstance(cell, Cell) else "-"


def _show_paper(sources: Sequence[Results]) -> None:
    found = [(source.name, kind, tables) for source in sources for kind, tables in _paper_kinds(source) if tables is not None]
    if not found:
        st.info("The paper's tables were not measured with this model. Run: python -m qpi_core evaluate", icon=":material/info:")
    for number, (name, kind, tables) in enumerate(found):
        st.subheader(f"{kind}: {plain(name)}" if len(sources) > 1 else kind, anchor=False)
        st.caption(f"{plain(tables.about)} {_PAPER_SCALE} ID: the training kernels in new maps; OOD: other kernels.")
        for table in (1, 2):
            _show_paper_table(tables, table, f"paper_{number}_{table}")
    if sources and not any(source.paper_protocol for source in sources):
        st.caption(
            "The paper's own experiment, with the symmetry loss on and off (Table 2), has not been measured with this model. "
            "It is run with: python -m qpi_core paper --out FOLDER"
        )


def _paper_kinds(source: Results) -> tuple[tuple[str, PaperTables | None], ...]:
    return (("Networks trained as in the paper", source.paper_protocol), ("This model on the paper's data", source.evaluation))


def _show_paper_table(tables: PaperTables, table: int, key: str) -> None:
    import pandas as pd

    rows = [row for row in tables.rows if row.table == table]
    if not rows:
        return
    title = "Table 1: in-domain and out-of-domain" if table == 1 else "Table 2: out-of-domain, with and without the symmetry loss"
    st.markdown(f"**{title}**")
    frame = pd.DataFrame(
        [
            {
                "Setting": row.setting,
                "Method" if table == 1 else "Symmetry loss": method_name(row.method) if table == 1 else row.method,
                "From": "published" if row.published else "measured here",
                "MAE": row.mae,
                "MSE": row.mse,
                "RMSE": row.rmse,
            }
            for row in sorted(rows, key=lambda row: (row.setting, not row.published))
        ]
    )
    formats = {name: st.column_config.NumberColumn(format="%.3g") for name in ("MAE", "MSE", "RMSE")}
    st.dataframe(frame, hide_index=True, width="stretch", column_config=formats, key=key)


def _show_how(source: Results, model: ModelInfo | None) -> None:
    st.subheader(plain(source.name), anchor=False)
    if model is not None and source.name == model.name and source.model_sha256 not in (None, current_weights_hash(model.folder)):
        st.warning("These numbers were measured with other weights than the installed ones. Measure again with the commands below.")
    if source.commands:
        st.markdown("The commands that make these numbers:")
        st.code("\n".join(source.commands), language="bash")
    asked = source.environment
    if asked:
        untouched = (
            "Nothing was trained, tuned or chosen on this seed."
            if asked.get("seed") == HELD_OUT_SEED
            else "This is not the held-out seed of the published tables."
        )
        st.markdown(
            f"{_asked(asked, 'scenes')} scenes for each kind and noise level, seed {_asked(asked, 'seed')}. {untouched} "
            f"Processor cores: {_asked(asked, 'processor_cores')}, threads: {_asked(asked, 'threads')}. "
            "All methods see the same scenes. Classical methods are trained on nothing; what the networks were trained on stands in the "
            "model card. The parametric fit knows the formula of Eq. 7, the others do not."
        )
        with st.expander("Everything that was asked for, and the versions"):
            st.code(json.dumps(asked, indent=1), language="json")
    kinds = {kind: variant_meaning(kind) for kind in source.variants()}
    st.markdown("\n".join(f"- {plain(kind)}: {plain(words)}" for kind, words in kinds.items() if words != kind))


def _asked(asked: Mapping[str, Any], name: str) -> str:
    """Return a value out of a file as text that no Markdown is read from."""
    return plain(str(asked.get(name, "?"))[:40])


def _show_card(model: ModelInfo | None) -> None:
    if model is None:
        return
    card = model.folder / "README.md"
    if not card.is_file():
        st.caption("This model has no card.")
        return
    st.markdown(card.read_text(encoding="utf-8"))
