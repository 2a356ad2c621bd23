// How a worker of a test fails, and when.

import type { Activity } from '../../src/parallel/control.js';
import type { WorkerTask } from '../../src/parallel/tasks.js';

export type FaultKind = 'throw' | 'exit' | 'heap' | 'loop' | 'native' | 'segfault';

export interface Fault {
  readonly kind: FaultKind;
  readonly task: WorkerTask['kind'];
  /** First step in which it may happen. */
  readonly step?: number;
  /** Absent: any. */
  readonly rank?: number;
  /**
   * When the worker begins that, for the n-th time in the step or other task (from 1); `asleep`: when it sleeps, at a barrier or
   * for the next step; absent: at once.
   */
  readonly at?: Activity | 'asleep';
  readonly nth?: number;
  /** One Int32: how often it still happens. */
  readonly times: SharedArrayBuffer;
  /** For the pipe that nobody writes to. */
  readonly folder: string;
}

export const FAULT_KEY = 'gpt-loom test fault';
