"""Files of every format, written here byte by byte, so that the readers are tested against what was put in."""

import io
import struct
import zlib

import numpy as np


def asymmetric(height=6, width=9, seed=0):
    """A layer that no flip or transpose leaves as it was."""
    return np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npz(**arrays):
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def png(array, mode=None):
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(array, mode).save(stream, format="PNG") if mode else Image.fromarray(array).save(stream, format="PNG")
    return stream.getvalue()


def tiff(array, **options):
    import tifffile

    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **options)
    return stream.getvalue()


def text(array, delimiter=",", decimal=".", heading=""):
    rows = (delimiter.join(repr(float(value)).replace(".", decimal) for value in row) for row in array)
    return (heading + "\n".join(rows) + "\n").encode()


def sxm(images, direction="down", size_m=(3e-8, 2e-8), bias_v=0.25, table=None, pixels=None, angle=0.0):
    """A Nanonis scan: images is a list of stored arrays, in the order of the lines on disk."""
    height, width = pixels or images[0].shape
    if table is None:
        table = "\t14\tZ\tm\tboth\t1.0E-9\t0.0\n\t0\tLI_Demod_1_X\tA\tboth\t1.0\t0.0\n"
    header = (
        f":NANONIS_VERSION:\n2\n:SCANIT_TYPE:\n              FLOAT            MSBFIRST\n:SCAN_PIXELS:\n       {width}       {height}\n"
        f":SCAN_RANGE:\n           {size_m[0]:.6E}           {size_m[1]:.6E}\n"
        f":SCAN_ANGLE:\n            {angle:.3E}\n:SCAN_DIR:\n{direction}\n"
        f":BIAS:\n            {bias_v:.3E}\n:DATA_INFO:\n\tChannel\tName\tUnit\tDirection\tCalibration\tOffset\n{table}\n:SCANIT_END:\n\n\n"
    )
    return header.encode("latin-1") + b"\x1a\x04" + b"".join(np.asarray(image, ">f4").tobytes() for image in images)


def grid_3ds(
    spectra,
    sweep_v=(-0.1, 0.1),
    channels=("Current (A)", "LI Demod 1 X (A)"),
    angle=0.0,
    size_m=(3e-8, 2e-8),
    extra=(),
    z=None,
    first_row="bottom",
):
    """A Nanonis grid: spectra is (height, width, channels, points) in the order of the file; first_row: bottom, top, or unknown."""
    first = spectra.shape[0] - 1 if first_row == "top" else 0
    places = "X (m);Y (m)" if first_row != "unknown" else "U (m);V (m)"
    height, width, _, points = spectra.shape
    header = "\r\n".join(
        [
            f'Grid dim="{width} x {height}"',
            f"Grid settings=0.0E+0;0.0E+0;{size_m[0]:E};{size_m[1]:E};{angle:E}",
            *(extra or ('Sweep Signal="Bias (V)"',)),
            'Fixed parameters="Sweep Start;Sweep End"',
            f'Experiment parameters="{places};Z (m)"',
            "# Parameters (4 byte)=5",
            f"Experiment size (bytes)={len(channels) * points * 4}",
            f"Points={points}",
            f'Channels="{";".join(channels)}"',
            ":HEADER_END:\r\n",
        ]
    )
    turn = np.deg2rad(angle)
    body = []
    for i in range(height):
        for j in range(width):
            u, v = (j + 0.5) / width * size_m[0] - size_m[0] / 2, (abs(i - first) + 0.5) / height * size_m[1] - size_m[1] / 2
            x, y = u * np.cos(turn) + v * np.sin(turn), -u * np.sin(turn) + v * np.cos(turn)
            height_m = z[i, j] if z is not None else 1e-9
            body.append(struct.pack(">5f", *sweep_v, x, y, height_m) + np.asarray(spectra[i, j], ">f4").tobytes())
    return header.encode("latin-1") + b"".join(body)


def createc(planes, length_a=(90.0, 60.0), bias_mv=-550.0, select=3, gain_z=10, z_piezo=19.2, gain_pre=9, magic=b"[Paramco32]", tail=17):
    """A Createc scan: planes is (channels, height, width) of raw DAC values."""
    channels, height, width = planes.shape
    header = (
        f"\r\nDAC-Type=20bit\r\nNum.X / Num.X={width}\r\nNum.Y / Num.Y={height}\r\nGainZ / GainZ={gain_z}\r\nRotation / Rotation=0.00\r\n"
        f"Gainpreamp / GainPre 10^={gain_pre}\r\nChannels / Channels={channels}\r\nChannelselectval / Channelselectval={select}\r\n"
        f"ZPiezoconst / ZPiezoconst= {z_piezo}\r\nLength x[A]={length_a[0]}\r\nLength y[A]={length_a[1]}\r\nBiasvolt[mV]={bias_mv:.2f}\r\n"
    ).encode()
    header = (magic + header).ljust(16384, b" ")
    values = np.asarray(planes)
    if magic == b"[Parameter]":
        return header + b"\0\0" + values.astype("<i2").tobytes()
    body = b"\0\0\0\0" + values.astype("<f4").tobytes() + b"\0" * 4 * tail
    return header + (zlib.compress(body) if magic == b"[Paramco32]" else body)


def wsxm(array, kind="short", size=("30 Å", "2 nm"), z="12.5 nm"):
    """A WSxM image of stored values, last pixel first; kind is short or double."""
    height, width = array.shape
    header = (
        "WSxM file copyright UAM\r\nSxM Image file\r\nImage header size: 0\r\n\r\n[Control]\r\n\r\n"
        f"    Topography Bias: -150 mV\r\n    X Amplitude: {size[0]}\r\n    Y Amplitude: {size[1]}\r\n\r\n[General Info]\r\n\r\n"
        f"    Acquisition channel: Topo\r\n    Image Data Type: {kind}\r\n    Number of columns: {width}\r\n"
        f"    Number of rows: {height}\r\n    Z Amplitude: {z}\r\n\r\n[Header end]\r\n"
    )
    return header.encode("latin-1") + np.ascontiguousarray(array[::-1, ::-1], "<i2" if kind == "short" else "<f8").tobytes()


def hdf5(**arrays):
    import h5py

    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for key, array in arrays.items():
            file[key] = array
    return stream.getvalue()


def mat(compress=False, **arrays):
    from scipy.io import savemat

    stream = io.BytesIO()
    savemat(stream, arrays, do_compression=compress)
    return stream.getvalue()


def mat_73(**arrays):
    """A MATLAB 7.3 file: 512 bytes of MATLAB header, then HDF5 with the axes in reverse."""
    import h5py

    stream = io.BytesIO()
    with h5py.File(stream, "w", userblock_size=512) as file:
        for key, array in arrays.items():
            file[key] = np.asarray(array).T
    content = stream.getvalue()
    return b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\x02IM" + content[128:]


def igor(stack, order="<", step=(2e-9, 3e-9, 0.01), start=(0.0, 0.0, -0.1), units=("m", "m", "V"), data_unit="A", title="dIdV"):
    """An Igor wave, version 5: stack is (y, x) or (layers, y, x) as stored, y upwards."""
    values = np.asarray(stack)
    sides = list(values.shape[::-1]) + [0] * (4 - values.ndim)
    kind = {"f4": 2, "f8": 4, "i2": 16, "i4": 32}[values.dtype.str[1:]]
    body = values.astype(values.dtype.newbyteorder(order)).tobytes()
    wave = struct.pack(order + "IIIihh6xh32sII", 0, 0, 0, values.size, kind, 0, 1, title.encode(), 0, 0)
    wave += struct.pack(order + "4i4d4d", *sides, *step, 1.0, *start, 0.0)
    wave += b"".join(unit.encode().ljust(4, b"\0") for unit in (data_unit, *units, ""))
    wave = wave.ljust(320, b"\0")
    sizes = struct.pack(order + "iiii4i4iiii", 320 + len(body), 0, 0, 0, *[0] * 8, 0, 0, 0)
    checked = struct.pack(order + "hH", 5, 0) + sizes + wave
    missing = -int(np.frombuffer(checked, order + "u2").sum(dtype=np.uint64)) % 2**16
    return struct.pack(order + "hH", 5, missing) + sizes + wave + body
