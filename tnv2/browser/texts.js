// @ts-check
// Texts: bytes as the letters of a page.

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;.=>?@^_`{|}~";

/** Bytes of text as Python's base64.b85encode makes it, with "." for "<". @param {string} text */
export function fromText(text) {
  const codes = new Uint8Array(128), missing = (5 - text.length % 5) % 5, bytes = new Uint8Array((text.length + missing) / 5 * 4);
  for (let i = 0; i < 85; i++) codes[ALPHABET.charCodeAt(i)] = i;
  for (let from = 0, to = 0; from < text.length; from += 5) {
    let value = 0;
    for (let i = from; i < from + 5; i++) value = value * 85 + (i < text.length ? codes[text.charCodeAt(i)] : 84);
    bytes[to++] = value >>> 24;
    bytes[to++] = value >>> 16;
    bytes[to++] = value >>> 8;
    bytes[to++] = value;
  }
  return bytes.subarray(0, bytes.length - missing);
}
