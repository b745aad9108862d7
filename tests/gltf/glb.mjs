// The container of GLB files, and what EXT_meshopt_compression hides in it.
import { MeshoptDecoder } from "meshoptimizer";

const MESHOPT = "EXT_meshopt_compression";

/** The JSON document and the binary chunk of a GLB file. */
export function unpack(bytes) {
  const header = new DataView(bytes.buffer, bytes.byteOffset, 20);
  const length = header.getUint32(12, true);
  const text = new TextDecoder().decode(bytes.subarray(20, 20 + length));
  return { document: JSON.parse(text), chunk: bytes.subarray(28 + length) };
}

function pack(document, chunk) {
  const text = new TextEncoder().encode(JSON.stringify(document));
  const padded = text.length + (-text.length & 3);
  const file = new Uint8Array(28 + padded + chunk.length).fill(0x20, 0, 20 + padded);
  const words = new DataView(file.buffer);
  const put = (offset, ...values) =>
    values.forEach((value, k) => words.setUint32(offset + 4 * k, value, true));
  put(0, 0x46546c67, 2, file.length, padded, 0x4e4f534a);
  file.set(text, 20);
  put(20 + padded, chunk.length, 0x004e4942);
  file.set(chunk, 28 + padded);
  return file;
}

/**
 * The file without the extension, decoded by meshoptimizer; null if it does not use it. Throws
 * if a compressed view cannot be decoded, and if the rules for fallback buffers are broken.
 */
export async function decompress(bytes) {
  await MeshoptDecoder.ready;
  const { document, chunk } = unpack(bytes);
  if (!document.extensionsUsed?.includes(MESHOPT)) return null;
  const [own, fallback] = document.buffers;
  if (!document.extensionsRequired?.includes(MESHOPT)) throw new Error("not required");
  if (own.uri ?? fallback.uri) throw new Error("a buffer with an address");
  if (!fallback.extensions[MESHOPT].fallback) throw new Error("not marked as fallback");
  const parts = [];
  let length = 0;
  for (const view of document.bufferViews) {
    const source = view.extensions?.[MESHOPT];
    let part = chunk.subarray(view.byteOffset, view.byteOffset + view.byteLength);
    if (source) {
      if (view.buffer !== 1 || source.buffer !== 0) throw new Error("wrong buffer");
      if (view.byteOffset + view.byteLength > fallback.byteLength) throw new Error("too long");
      const { byteOffset, byteLength, count, byteStride, mode } = source;
      part = new Uint8Array(view.byteLength);
      const encoded = chunk.subarray(byteOffset, byteOffset + byteLength);
      MeshoptDecoder.decodeGltfBuffer(part, count, byteStride, encoded, mode);
      delete view.extensions;
    }
    Object.assign(view, { buffer: 0, byteOffset: length });
    parts.push([length, part]);
    length += part.length + (-part.length & 3);
  }
  const decoded = new Uint8Array(length);
  for (const [offset, part] of parts) decoded.set(part, offset);
  document.buffers = [{ byteLength: length }];
  for (const list of ["extensionsUsed", "extensionsRequired"])
    document[list] = document[list].filter((name) => name !== MESHOPT);
  if (document.extensionsRequired.length === 0) delete document.extensionsRequired;
  return pack(document, decoded);
}
