// How text becomes the symbols that byte-pair encoding joins: GPT-2's split into words, and its alphabet of 256 printable
// characters, one for each byte. Used alike by training, encoding and decoding.
// Radford et al. 2019, https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf

/**
 * Words as GPT-2 cuts them: English contractions, then runs of letters, of digits and of other characters, each with the space
 * before it, then white space. The Rust library's \s is Unicode's White_Space; JavaScript's own \s differs at U+0085 and U+FEFF.
 */
export const WORD_PATTERN =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** Byte -> its character. Printable Latin-1 bytes stand for themselves, the other 68 for U+0100 and on. */
export const BYTE_TO_CHAR: readonly string[] = createByteAlphabet();

/** By a character's code point; U+0143 is the last of them. */
const CODE_TO_BYTE = new Uint8Array(0x144);
BYTE_TO_CHAR.forEach((char, byte) => {
  CODE_TO_BYTE[char.charCodeAt(0)] = byte;
});

/** A token that is written in the alphabet, all 256 characters of which are here. */
export const BYTE_TOKEN_PATTERN = /^[!-~\u00A1-\u00AC\u00AE-\u0143]+$/;

/** (bytes) what the token's characters stand for; the token matches BYTE_TOKEN_PATTERN. */
export function tokenToBytes(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) bytes[i] = CODE_TO_BYTE[token.charCodeAt(i)];
  return bytes;
}

function createByteAlphabet(): string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : next++));
}

/** U+00AD, the soft hyphen, is the one Latin-1 symbol that shows nothing. */
function isPrintable(byte: number): boolean {
  return (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
}
