// A model checker for threads that meet through Atomics: runs the real, synchronous code in every order of its accesses to shared
// memory. JavaScript can't be stopped in the middle of a function, so a thread is run again from its beginning for every step,
// with the results of what it has done so far, up to its next access, which ends it by an exception. Atomics are sequentially
// consistent, so the orders are all there is; and code without data races in them has none on any machine.

export type Access =
  | { readonly kind: 'load' | 'store' | 'add' | 'notify' | 'wait'; readonly word: number; readonly value: number }
  /** Plain memory, by names. */
  | { readonly kind: 'plain'; readonly reads: readonly string[]; readonly writes: readonly string[] };

export interface Program {
  /** Each run must do the same for the same results. */
  readonly threads: readonly (() => void)[];
  readonly words: number;
  /** Names whose writes are counted, by whomever. */
  readonly counted?: readonly string[];
  /** Initial memory; 0 where it has nothing. */
  readonly memory?: readonly number[];
  /** Accesses that no thread can tell from none: they are no steps. */
  readonly isIgnored?: (word: number, kind: Exclude<Access['kind'], 'plain'>) => boolean;
  /** May vanish before any of its steps; `mourner` waits for that to happen. */
  readonly mortal?: number;
  readonly mourner?: number;
  /** May throw in the place of any plain access. */
  readonly fallible?: number;
  /** A sleeper may wake by itself so often in all; and whenever nothing else can go on, if `mayOversleep` allows that. */
  readonly timeouts?: number;
  readonly mayOversleep?: (memory: readonly number[]) => boolean;
  /** Called in every state that is reached; throws what is wrong with it. */
  readonly check?: (state: Snapshot) => void;
  /** Called in every state in which nothing is left to do. */
  readonly checkEnd?: (state: Snapshot) => void;
}

export interface Snapshot {
  readonly memory: readonly number[];
  readonly threads: readonly ThreadSnapshot[];
  /** Of each counted name, the plain writes that were begun, finished or not. */
  readonly writes: ReadonlyMap<string, number>;
}

export interface ThreadSnapshot {
  readonly end: 'returned' | 'threw' | 'died' | null;
  readonly error: unknown;
}

export interface Explored {
  readonly states: number;
  readonly steps: number;
  /** Memory of the states in which nothing is left to do, each once. */
  readonly ends: readonly (readonly number[])[];
}

/** What the checker found, with the steps that lead there. */
export class ProtocolError extends Error {
  constructor(problem: string, trace: readonly string[]) {
    super(`${problem}\n${trace.map((line) => `  ${line}`).join('\n')}`);
  }
}

const SUSPENDED = new Error('to be continued');
const FAULT = 'fault';
type Result = number | string;

interface Thread {
  readonly results: readonly Result[];
  readonly pending: Access | null;
  readonly isAsleep: boolean;
  readonly end: ThreadSnapshot['end'];
  readonly error: unknown;
  readonly key: string;
}

interface State {
  readonly memory: readonly number[];
  readonly threads: readonly Thread[];
  readonly writes: ReadonlyMap<string, number>;
  readonly timeouts: number;
  readonly trace: Trace | null;
}

interface Trace {
  readonly before: Trace | null;
  readonly text: string;
}

/** Of the thread that is being run; threads are run one after the other. */
let current: {
  readonly results: readonly Result[];
  readonly isIgnored: NonNullable<Program['isIgnored']>;
  next: number;
  pending: Access | null;
  place: string;
} | null = null;

/** To be called by the threads' code for plain memory. */
export function touch(reads: readonly string[], writes: readonly string[]): void {
  if (perform({ kind: 'plain', reads, writes }) === FAULT) throw new Error(FAULT);
}

/** Says that all a thread will do from here on depends on this name and the memory alone, not on what it did before. */
export function at(place: string): void {
  if (current !== null && current.pending === null) current.place = place;
}

function perform(access: Access): Result {
  const run = current!;
  if (run.pending !== null) throw SUSPENDED; // In a catch or finally of a thread that is suspended already.
  if (access.kind !== 'plain' && run.isIgnored(access.word, access.kind)) return 0;
  if (run.next < run.results.length) {
    const result = run.results[run.next++];
    run.place += ` ${result}`;
    return result;
  }
  run.pending = access;
  throw SUSPENDED;
}

/** Every order of steps; throws ProtocolError for the first that breaks a rule. */
export function explore(program: Program): Explored {
  const restore = replaceAtomics();
  try {
    return search(program);
  } finally {
    restore();
  }
}

function search(program: Program): Explored {
  const threads = program.threads.map((_, i) => resume(program, i, []));
  const start: State = {
    memory: Array.from({ length: program.words }, (_, i) => program.memory?.[i] ?? 0),
    threads,
    writes: threads.reduce<State['writes']>((writes, thread) => withBegun(program, writes, thread), new Map()),
    timeouts: program.timeouts ?? 0,
    trace: null,
  };
  const seen = new Set([keyOf(start)]);
  const stack = [start];
  const ends = new Map<string, readonly number[]>();
  let steps = 0;
  for (let state = stack.pop(); state !== undefined; state = stack.pop()) {
    check(program, state);
    const following = successors(program, state);
    if (following.length === 0) {
      checkEnd(program, state);
      ends.set(state.memory.join(), state.memory);
    }
    for (const next of following) {
      steps++;
      const key = keyOf(next);
      if (seen.has(key)) continue;
      seen.add(key);
      stack.push(next);
    }
  }
  return { states: seen.size, steps, ends: [...ends.values()] };
}

/** Runs thread i up to its next access. */
function resume(program: Program, i: number, results: readonly Result[]): Thread {
  const run = {
    results,
    isIgnored: program.isIgnored ?? (() => false),
    next: 0,
    pending: null,
    place: '',
  };
  current = run;
  let end: ThreadSnapshot['end'] = 'returned';
  let error: unknown = null;
  try {
    program.threads[i]();
  } catch (reason) {
    end = reason === SUSPENDED ? null : 'threw';
    error = reason === SUSPENDED ? null : reason;
  }
  current = null;
  if (end === null && run.pending === null) throw new Error(`thread ${i} was suspended without an access`);
  const { place, pending } = run;
  // Where it is, and what it did since it last said so.
  return { results, pending, isAsleep: false, end, error, key: `${place} ${end ?? ''}` };
}

/** Counts the writes that a thread is at. */
function withBegun({ counted = [] }: Program, writes: State['writes'], { pending }: Thread): State['writes'] {
  const begun = pending?.kind === 'plain' ? pending.writes.filter((name) => counted.includes(name)) : [];
  if (begun.length === 0) return writes;
  const next = new Map(writes);
  for (const name of begun) next.set(name, (next.get(name) ?? 0) + 1);
  return next;
}

function successors(program: Program, state: State): State[] {
  const { threads } = state;
  const isDead = program.mortal !== undefined && threads[program.mortal].end === 'died';
  const canGo = (i: number) => threads[i].end === null && !threads[i].isAsleep && (i !== program.mourner || isDead);
  const next = threads.flatMap((thread, i) => (canGo(i) ? step(program, state, i, thread) : []));
  const sleepers = threads.flatMap((thread, i) => (thread.isAsleep && thread.end === null ? [i] : []));
  const mayWake = state.timeouts > 0 || (next.length === 0 && program.mayOversleep?.(state.memory));
  if (next.length === 0 && sleepers.length > 0 && !mayWake) {
    throw new ProtocolError(`thread ${sleepers.join(' and ')} would sleep for ever`, traceOf(state));
  }
  if (mayWake) {
    for (const i of sleepers) {
      const woken = proceed(program, state, i, 'timed-out', state.memory, 'wakes by itself');
      next.push({ ...woken, timeouts: Math.max(0, state.timeouts - 1) });
    }
  }
  const { mortal } = program;
  if (mortal !== undefined && threads[mortal].end === null) next.push(without(state, mortal));
  return next;
}

function step(program: Program, state: State, i: number, { pending }: Thread): State[] {
  const access = pending!;
  if (access.kind === 'plain') {
    const states = [proceed(program, state, i, 0, state.memory, describe(access))];
    if (program.fallible === i)
      states.push(proceed(program, state, i, FAULT, state.memory, `fails at ${describe(access)}`));
    return states;
  }
  const { kind, word, value } = access;
  const before = state.memory[word];
  if (kind === 'wait' && before === value) return [asleep(state, i)];
  const memory = state.memory.slice();
  if (kind === 'store') memory[word] = value;
  if (kind === 'add') memory[word] = (before + value) | 0;
  const result = kind === 'wait' ? 'not-equal' : before;
  let next = proceed(program, state, i, result, memory, describe(access));
  if (kind === 'notify') {
    const sleepers = state.threads.flatMap((thread, t) => (thread.isAsleep && sleepsAt(thread) === word ? [t] : []));
    for (const sleeper of sleepers) next = proceed(program, next, sleeper, 'ok', memory, 'is woken');
  }
  return [next];
}

function sleepsAt({ pending }: Thread): number {
  return pending?.kind === 'wait' ? pending.word : -1;
}

function proceed(
  program: Program,
  state: State,
  i: number,
  result: Result,
  memory: readonly number[],
  text: string,
): State {
  const threads = state.threads.slice();
  threads[i] = resume(program, i, [...threads[i].results, result]);
  const writes = withBegun(program, state.writes, threads[i]);
  return {
    ...state,
    memory,
    threads,
    writes,
    trace: { before: state.trace, text: `thread ${i} ${text} -> ${result}` },
  };
}

function asleep(state: State, i: number): State {
  const threads = state.threads.slice();
  threads[i] = { ...threads[i], isAsleep: true };
  return { ...state, threads, trace: { before: state.trace, text: `thread ${i} falls asleep` } };
}

function without(state: State, i: number): State {
  const threads = state.threads.slice();
  threads[i] = { ...threads[i], isAsleep: false, pending: null, end: 'died' };
  return { ...state, threads, trace: { before: state.trace, text: `thread ${i} dies` } };
}

/** Two threads whose next accesses are to the same plain memory, one of them a write, could do them at the same time. */
function check(program: Program, state: State): void {
  const plain = state.threads.flatMap(({ pending, end }, i) =>
    end === null && pending?.kind === 'plain' ? [{ i, ...pending }] : [],
  );
  for (const a of plain) {
    for (const b of plain) {
      if (a.i === b.i) continue;
      const shared = a.writes.find((name) => b.writes.includes(name) || b.reads.includes(name));
      if (shared === undefined) continue;
      throw new ProtocolError(`threads ${a.i} and ${b.i} race for ${shared}`, traceOf(state));
    }
  }
  explain(state, () => program.check?.(state));
}

function checkEnd(program: Program, state: State): void {
  explain(state, () => program.checkEnd?.(state));
}

function explain(state: State, run: () => void): void {
  try {
    run();
  } catch (error) {
    throw new ProtocolError((error as Error).message, traceOf(state));
  }
}

function keyOf({ memory, threads, writes, timeouts }: State): string {
  const parts = threads.map(
    ({ key, isAsleep, end }) => `${key}${isAsleep ? ' asleep' : ''}${end === 'died' ? ' died' : ''}`,
  );
  const counts = [...writes].map(([name, count]) => `${name}:${count}`).sort();
  return `${memory.join()}|${timeouts}|${counts.join()}|${parts.join('|')}`;
}

function traceOf({ trace }: State): string[] {
  const lines: string[] = [];
  for (let at = trace; at !== null; at = at.before) lines.unshift(at.text);
  return lines;
}

function describe(access: Access): string {
  if (access.kind === 'plain') return `reads ${access.reads.join()} writes ${access.writes.join()}`;
  return `${access.kind} word ${access.word} (${access.value})`;
}

/** Returns the function that puts the real ones back. */
function replaceAtomics(): () => void {
  const { load, store, add, notify, wait } = Atomics;
  Object.assign(Atomics, {
    load: (_: Int32Array, word: number) => perform({ kind: 'load', word, value: 0 }),
    store: (_: Int32Array, word: number, value: number) => perform({ kind: 'store', word, value }),
    add: (_: Int32Array, word: number, value: number) => perform({ kind: 'add', word, value }),
    notify: (_: Int32Array, word: number) => perform({ kind: 'notify', word, value: 0 }),
    wait: (_: Int32Array, word: number, value: number) => perform({ kind: 'wait', word, value }),
  });
  return () => Object.assign(Atomics, { load, store, add, notify, wait });
}
