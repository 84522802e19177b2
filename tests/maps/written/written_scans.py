"""Scans of further instruments, written here byte by byte: Gwyddion's .gsf, Nanosurf .nid, Gxsm .nc, Aarhus .mul, WSxM .gsi."""

import io
import struct

import numpy as np


def gsf(array, entries=("XReal = 9e-9", "YReal = 12e-9", "XYUnits = m", "ZUnits = S", "Title = dI/dV"), comment=""):
    height, width = array.shape
    header = ("Gwyddion Simple Field 1.0\n" + "\n".join([f"XRes = {width}", f"YRes = {height}", *entries]) + f"\n{comment}").encode()
    return header + b"\0" * (4 - len(header) % 4) + np.asarray(array, "<f4").tobytes()


def nid(images, bits=16, order="Intel", sign="Signed", info=("Tip voltage=0.2V",), low=-1e-9, span=4e-9, curves=False):
    """Images are (name, unit, frame, (height, width) whole numbers of the given bits), the top row first."""
    head, sections, data = ["[DataSet]", "Version=2", f"GroupCount={len(images)}"], ["[DataSet-Info]", *info, ""], b""
    dtype = np.dtype(f"{'<' if order == 'Intel' else '>'}{'i' if sign == 'Signed' else 'u'}{bits // 8}")
    if curves:
        images = [("Deflection", "V", "Spec forward", np.arange(12).reshape(2, 6)), *images]
    for number, (name, unit, frame, array) in enumerate(images):
        height, width = array.shape
        head += [f"Gr{number}-Name={frame}", f"Gr{number}-Count=1", f"Gr{number}-Ch0=DataSet-{number}:0"]
        sections += [f"[DataSet-{number}:0]", "Version=20", f"Points={width}", f"Lines={height}", f"Frame={frame}", "Dim0Unit=m"]
        sections += [f"Dim0Range={width * 1e-9:g}", "Dim1Name=Y*", "Dim1Unit=m", f"Dim1Range={height * 2e-9:g}", f"Dim2Name={name}"]
        sections += [f"Dim2Unit={unit}", f"Dim2Min={low:g}", f"Dim2Range={span:g}", "SaveMode=Binary", f"SaveBits={bits}"]
        sections += [f"SaveSign={sign}", f"SaveOrder={order}", ""]
        data += array[::-1].astype(dtype).tobytes()
    return "\r\n".join([*head, "", *sections, ""]).encode("latin-1") + b"\r\n#!" + data


def gxsm(stack, field="FloatField", value=None, value_unit="V", bias=0.3, dz=2.0, unit="nA", label="ADC0-I", y_down=True, version=1):
    """A scan of Gxsm: stack is (layers, height, width), the top row first; 1 Angstrom a column, 2 a row."""
    from scipy.io import netcdf_file

    layers, height, width = stack.shape
    stream = io.BytesIO()
    file = netcdf_file(stream, "w", version=version)
    for name, size in (("time", 1), ("value", layers), ("dimy", height), ("dimx", width)):
        file.createDimension(name, size)
    kind = {"FloatField": "f4", "DoubleField": "f8", "H": "i2"}[field]
    data = file.createVariable(field, kind, ("time", "value", "dimy", "dimx"))
    data[:] = (stack if y_down else stack[:, ::-1])[np.newaxis].astype(kind)
    data.ZLabel, data.unit = label, unit
    values = file.createVariable("value", "f4", ("value",))
    values[:] = np.arange(layers) if value is None else value
    values.unit = value_unit
    y = (np.arange(height)[::-1] if y_down else np.arange(height)) * 2.0
    for name, numbers in (("dimy", y), ("dimx", np.arange(width))):
        file.createVariable(name, "f4", (name,))[:] = numbers
    for name, number in (("rangex", width), ("rangey", 2.0 * height), ("dz", dz), ("sranger_mk2_hwi_bias", bias), ("alpha", 0.0)):
        file.createVariable(name, "f8", ()).data[...] = number
    file.flush()
    content = stream.getvalue()
    file.close()
    return content


def mul(images):
    """Images are (title, bias in V, (height, width) whole numbers), the top row first; 10 x 20 nm each."""
    index, blocks, place = b"", b"", 3
    for number, (title, bias, array) in enumerate(images, start=1):
        height, width = array.shape
        data = array[::-1].astype("<i2").tobytes()
        data += bytes(-len(data) % 128)
        numbers = [number, 1 + len(data) // 128, width, height, 1, 2020, 1, 2, 3, 4, 5, 100, 200, 0, 0, 1, 0, 1]
        numbers += [round(-bias * 3276.8), 50]
        label = struct.pack("<20h21p21p7h16h", *numbers, b"Ag(111)", title.encode("latin-1"), *[0] * 7, *[0] * 16)
        index += struct.pack("<hl", number, place)
        blocks += label + data
        place += 1 + len(data) // 128
    return index.ljust(384, b"\0") + blocks


def gsi(topograph, stack, bias_v, kind="double"):
    """A cube of WSxM: the topograph, then one image a bias, each with the last pixel first."""
    height, width = topograph.shape
    ramp = "".join(f"    Image {number:03d}: {bias:g} V\r\n" for number, bias in enumerate(bias_v))
    header = (
        "WSxM file copyright UAM\r\nSxM General Spectroscopy Image file\r\nImage header size: 0\r\n\r\n[Control]\r\n\r\n"
        "    X Amplitude: 9 nm\r\n    Y Amplitude: 12 nm\r\n\r\n[General Info]\r\n\r\n    Acquisition channel: Current\r\n"
        f"    Image Data Type: {kind}\r\n    Number of columns: {width}\r\n    Number of points per ramp: {len(stack)}\r\n"
        f"    Number of rows: {height}\r\n    Spectroscopy Amplitude: 1 nA\r\n    Z Amplitude: 1 nm\r\n\r\n"
        f"[Spectroscopy images ramp value list]\r\n\r\n{ramp}\r\n[Header end]\r\n"
    )
    dtype = {"double": "<f8", "simple": "<f4", "short": "<i2"}[kind]
    images = [np.ascontiguousarray(image[::-1, ::-1]).astype(dtype).tobytes() for image in (topograph, *stack)]
    return header.encode("latin-1") + b"".join(images)
