"""Arrays on their way between Python and a page, as the name of their kind and their bytes in base64."""

import base64

import numpy as np

# For a page: `unpacked` makes an array of what `sent` gives, `packed` what `came` takes. In loops: Uint8Array.from is slow.
PACKING = """
    window.unpacked = ([kind, text]) => {
        const letters = atob(text), bytes = new Uint8Array(letters.length);
        for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
        const kinds = [Uint8Array, Uint16Array, Uint32Array, Int32Array, Float32Array];
        return new (kinds.find(({name}) => name.toLowerCase() === `${kind}array`))(bytes.buffer);
    };
    window.packed = (array) => {
        const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
        let text = "";
        for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
        return [array.constructor.name.replace("Array", "").toLowerCase(), btoa(text)];
    };
"""


def sent(array):
    return [array.dtype.name, base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()]


def came(packed, shape=-1):
    kind, text = packed
    return np.frombuffer(base64.b64decode(text), kind).reshape(shape)
