// Entry point of a measuring thread: answers each job with its repeats.

import { parentPort, workerData } from 'node:worker_threads';
import { createMember } from '../src/bench/member.js';

const run = createMember(workerData);
parentPort?.on('message', (message) => parentPort?.postMessage(run(message)));
parentPort?.postMessage('ready');
