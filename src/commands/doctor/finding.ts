// One thing that doctor looked at.

export interface Finding {
  readonly name: string;
  /** missing: not there; problem: there, but it won't do. */
  readonly status: 'ok' | 'missing' | 'problem';
  readonly detail: string;
  /** What to do unless the status is ok. */
  readonly fix?: string;
  /** Whether training is impossible without it. */
  readonly isNeeded: boolean;
}

/** An error's message as a finding: its first line says what is wrong, the rest what to do. */
export function findingOfError(name: string, status: 'missing' | 'problem', error: unknown): Finding {
  const [detail, ...rest] = (error instanceof Error ? error.message : String(error)).split('\n');
  return { name, status, detail, fix: rest.map((line) => line.trim()).join('\n') || undefined, isNeeded: true };
}
