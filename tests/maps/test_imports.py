"""Reading maps stays light: the app's first page must not wait for torch."""

import subprocess
import sys


def test_maps_import_neither_torch_nor_streamlit():
    code = "import sys, qpi_core.maps; print(sorted({'torch', 'streamlit', 'h5py', 'tifffile', 'PIL'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
