// Commands that we propose, to be pasted into a shell.

/** As a POSIX shell reads one word. */
export function quoteWord(word: string): string {
  if (/^[\w./:=,+-]+$/.test(word)) return word;
  return /["$`\\!]/.test(word) ? `'${word.replaceAll("'", "'\\''")}'` : `"${word}"`;
}
