"""What the Streamlit pages share: the picker, session state, cached loaders, panels, jobs and downloads."""
