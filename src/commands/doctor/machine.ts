// Findings about the machine: Node, processor, memory, terminal.

import { freemem, totalmem } from 'node:os';
import { countCores } from '../../machine/cores.js';
import { cpuFeatures, cpuModel } from '../../machine/cpu.js';
import type { Finding } from './finding.js';

export function examineMachine(): Finding[] {
  return [nodeFinding(), processorFinding(), vectorFinding(), memoryFinding(), terminalFinding()];
}

const OLDEST_NODE = 20;

function nodeFinding(): Finding {
  const isNewEnough = Number(process.versions.node.split('.')[0]) >= OLDEST_NODE;
  return {
    name: 'node',
    status: isNewEnough ? 'ok' : 'problem',
    detail: `${process.version}, ${process.platform} ${process.arch}`,
    fix: `Install Node.js ${OLDEST_NODE} or newer from https://nodejs.org.`,
    isNeeded: true,
  };
}

function processorFinding(): Finding {
  const { physical, logical, usablePhysical, quota } = countCores();
  const limit = quota === null ? '' : `, limited to ${Number(quota.toFixed(2))} processors' time`;
  const detail = `${cpuModel()}, ${count(physical, 'core')} with ${count(logical, 'thread')}${limit}; training uses ${usablePhysical}`;
  return { name: 'processor', status: 'ok', detail, isNeeded: false };
}

function vectorFinding(): Finding {
  const features = cpuFeatures();
  const detail = features.length > 0 ? features.join(' ') : 'none that the kernels use, as far as the system tells';
  return { name: 'vector units', status: 'ok', detail, isNeeded: false };
}

/** The default model with four gradient slots, Node and a worker on each of a few cores take about half of it. */
const LITTLE_MEMORY = 512 * 2 ** 20;

function memoryFinding(): Finding {
  const limit = process.constrainedMemory();
  // Without a limit Node reports 0 or a number beyond all memory.
  const total = limit > 0 && limit < totalmem() ? limit : totalmem();
  const free = Math.min(total, freemem());
  return {
    name: 'memory',
    status: free < LITTLE_MEMORY ? 'problem' : 'ok',
    detail: `${gigabytes(total)} GB, ${gigabytes(free)} GB of it free`,
    fix: `Training the default model wants about ${LITTLE_MEMORY / 2 ** 20} MB: close other programs.`,
    isNeeded: false,
  };
}

function terminalFinding(): Finding {
  const name = 'terminal';
  const { stdout, env } = process;
  if (!stdout.isTTY) return { name, status: 'ok', detail: 'none: output is plain lines', isNeeded: false };
  const colours = 2 ** stdout.getColorDepth();
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || '';
  const isUnicode = /utf-?8/i.test(locale) || process.platform === 'darwin';
  return {
    name,
    status: isUnicode ? 'ok' : 'problem',
    detail: `${stdout.columns} x ${stdout.rows}, ${colours} colours, ${isUnicode ? 'Unicode' : `no Unicode (locale "${locale}")`}`,
    fix: 'Chinese text and charts need UTF-8: export LANG=C.UTF-8',
    isNeeded: false,
  };
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}

function gigabytes(bytes: number): string {
  return (bytes / 2 ** 30).toFixed(1);
}
