// How much of the expected answer an answer has: ROUGE-L over characters. Pure.

/**
 * F1 of the longest common subsequence, from 0 (nothing in common) to 1 (equal): 2 * LCS / (both lengths together).
 * Characters are code points and white space doesn't count; unlike a comparison of character counts it respects the order.
 * Two empty texts are equal. Time and memory: product and sum of the lengths. Lin 2004, https://aclanthology.org/W04-1013
 */
export function characterOverlap(answer: string, expected: string): number {
  const a = charactersOf(answer);
  const b = charactersOf(expected);
  if (a.length + b.length === 0) return 1;
  return (2 * longestCommonSubsequence(a, b)) / (a.length + b.length);
}

function charactersOf(text: string): string[] {
  return [...text.replace(/\s/gu, '')];
}

/** One row of the table at a time: row[j] is the length for the characters of `a` so far and the first j of `b`. */
function longestCommonSubsequence(a: readonly string[], b: readonly string[]): number {
  let row = new Uint32Array(b.length + 1);
  for (const char of a) {
    const next = new Uint32Array(b.length + 1);
    for (let j = 1; j <= b.length; j++) {
      next[j] = char === b[j - 1] ? row[j - 1] + 1 : Math.max(row[j], next[j - 1]);
    }
    row = next;
  }
  return row[b.length];
}
