"""Omicron Matrix files, written here block by block after Gwyddion's and access2theMatrix's descriptions of the format."""

import io
import struct
import zipfile

import numpy as np

MAGIC = b"ONTMATRX0101"
SESSION = "default_2026Nov25-101112_STM-STM_Spectroscopy"
SETTINGS = {
    "XYScanner": {
        "Points": 9, "Lines": 6, "Width": 1.8e-8, "Height": 6e-9, "X_Offset": 0.0, "Y_Offset": 0.0, "Angle": 30.0,
        "X_Retrace": True, "Y_Retrace": True, "Enable_Subgrid": False, "Subgrid_X": 1, "Subgrid_Y": 1, "Subgrid_Match_Mode": 0,
    },
    "GapVoltageControl": {"Voltage": -0.25},
    "Spectroscopy": {
        "Device_1_Start": (-0.1, "Volt"), "Device_1_End": (0.3, "Volt"), "Device_1_Points": 5, "Enable_Device_1_Ramp_Reversal": True,
    },
}  # fmt: skip
TRANSFERS = {
    3: ("Z", "Meter", "TFF_Linear1D", {"Factor": 4e12, "Offset": 11.0}),
    7: ("I", "Ampere", "TFF_MultiLinear1D", {"NeutralFactor": 6e15, "Offset": 2.0, "PreFactor": 1.25, "PreOffset": -0.5, "Raw_1": 1.0}),
    9: ("I(V)", "Ampere", "TFF_Linear1D", {"Factor": 1e15, "Offset": 0.0}),
}


def string(text):
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def value(number):
    if isinstance(number, bool):
        return b"LOOB" + struct.pack("<I", number)
    if isinstance(number, int):
        return b"GNOL" + struct.pack("<i", number)
    if isinstance(number, str):
        return b"GRTS" + string(number)
    return b"BUOD" + struct.pack("<d", number)


def block(name, content):
    return name + struct.pack("<I", len(content)) + struct.pack("<Q", 1764065472) + content


def inner(name, content):
    return name + struct.pack("<I", len(content)) + content


def setting(name, number):
    number, unit = number if isinstance(number, tuple) else (number, "--")
    return string(name) + string(unit) + bytes(4) + value(number)


def experiment(settings):
    groups = [
        string(group) + struct.pack("<I", len(entries)) + b"".join(setting(name, number) for name, number in entries.items())
        for group, entries in settings.items()
    ]
    return block(b"APEE", bytes(4) + struct.pack("<I", len(groups)) + b"".join(groups))


def changed(group, name, number):
    return block(b"DOMP", bytes(4) + string(group) + setting(name, number))


def scales(transfers):
    names = bytes(8) + struct.pack("<I", 1) + bytes(16) + string("device") + string("driver") + struct.pack("<I", len(transfers))
    functions = b""
    for number, (name, unit, function, parameters) in transfers.items():
        names += bytes(4) + struct.pack("<I", number) + bytes(8) + string(name) + string(unit)
        functions += bytes(4) + struct.pack("<I", number) + string(function) + string(unit) + struct.pack("<I", len(parameters))
        functions += b"".join(string(key) + value(parameters[key]) for key in parameters)
    names += struct.pack("<I", 0)
    return block(b"YSCC", bytes(4) + inner(b"TCID", names) + inner(b"SCHC", b"1234") + inner(b"REFX", functions))


def reference(file_name):
    return block(b"FERB", bytes(4) + string(file_name))


def result_file(names, settings=SETTINGS, transfers=TRANSFERS, before_each=()):
    """A result file that refers to the images; before_each are blocks that come before each reference."""
    body = block(b"ATEM", bytes(4) + string("MATRIX")) + experiment(settings) + scales(transfers)
    body += block(b"KRAM", string("MTRX$SAMPLE_NAME-Ag(111) é"))
    for number, name in enumerate(names):
        body += (before_each[number] if number < len(before_each) else b"") + reference(name)
    return MAGIC + body + block(b"DEOE", b"")


def image_file(counts, intended=None):
    """An image file: counts in the order of the scan."""
    counts = np.ascontiguousarray(counts, "<i4").ravel()
    description = bytes(20) + struct.pack("<ii", intended or counts.size, counts.size) + bytes(8)
    content = inner(b"CSED", description) + inner(b"ATAD", counts.tobytes())
    return MAGIC + b"TLKB" + struct.pack("<IQ", len(content) + 4, 1764065472) + bytes(4) + content


def in_order(up, down=None):
    """Counts in the order of the scan from (forward, backward) images as the frame shows them: bottom line first, then from the top."""
    lines = [line for row in range(len(up[0]) - 1, -1, -1) for line in (up[0][row], up[1][row, ::-1])]
    if down is not None:
        lines += [line for row in range(len(down[0])) for line in (down[0][row], down[1][row, ::-1])]
    return np.array(lines)


def name_of(channel, run=1, cycle=1):
    return f"{SESSION}--{run}_{cycle}.{channel}_mtrx"


def archive(files, compression=zipfile.ZIP_DEFLATED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as packed:
        for name, content in files.items():
            packed.writestr(f"session/{name}", content)
    return stream.getvalue()
