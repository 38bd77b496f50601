// What the page knows of the proxy, as signals. Fed by events; asked for anew where events do not tell all.
import { get, locked, revision } from './api.js';
import { connection, follow } from './events.js';
import { t, word } from './i18n.js';
import { batch, computed, signal, useEffect, useState } from './ui.js';
import { announce, toast } from './parts/notes.js';

// Beyond this the oldest are let go; the log has them.
const LIVE_KEPT = 2000;
const ENDPOINTS_EVERY_MS = 2000;

export const status = signal(null);
export const endpointList = signal(null);
export const running = signal([]);
// Requests that ended while we watch, newest first.
export const ended = signal([]);
// Grows with whatever makes what was loaded before stale: a gap in the feed, another proxy.
export const epoch = signal(0);
export const now = signal(Date.now());
// How often the proxy was there again after it had been away.
const returns = signal(0);

export const stale = computed(() => connection.value.state === 'lost');

// How far the proxy's clock is ahead of ours, in milliseconds.
let ahead = 0;
let started;

export const proxyNow = () => now.value + ahead;

export function start() {
  setInterval(() => (now.value = Date.now()), 1000);
  follow(take, (again) => {
    if (again) returns.value += 1;
    loadEndpoints();
  });
}

const HANDLERS = {
  status: takeStatus,
  endpoint: takeEndpoint,
  request_started: (view) => upsertRunning(view),
  request_committed: (view) => upsertRunning(view),
  request_ended: takeEnded,
  config: takeConfig,
  missed: takeMissed,
};

function take(name, data) {
  if (name === null) settle();
  else HANDLERS[name]?.(data);
}

function takeStatus(view) {
  batch(() => {
    if (started !== undefined && started !== view.started) proxyChanged();
    started = view.started;
    ahead = Math.abs(Date.parse(view.time) - Date.now()) > 2000 ? Date.parse(view.time) - Date.now() : 0;
    status.value = view;
    running.value = reconciled(running.peek(), view);
    now.value = Date.now();
  });
}

function proxyChanged() {
  running.value = [];
  epoch.value += 1;
  toast(t('feed.restarted'));
}

// The status names the longest-running ones only; the others stay as the events told them.
function reconciled(known, { running: told = [], in_flight: count }) {
  if (told.length >= count) return told;
  const keys = new Set(told.map((one) => one.key));
  return [...told, ...known.filter((one) => !keys.has(one.key))].slice(0, count);
}

function upsertRunning(view) {
  const others = running.peek().filter((one) => one.key !== view.key);
  running.value = [...others, view];
}

// Those that ended together change the lists once: it may be hundreds.
let over = [];

function takeEnded(one) {
  over.push(one);
}

function settle() {
  if (!over.length) return;
  const keys = new Set(over.map(({ key }) => key));
  running.value = running.peek().filter((one) => !keys.has(one.key));
  const fresh = over.map(({ record }) => record).reverse();
  ended.value = [...fresh, ...ended.peek()].slice(0, LIVE_KEPT);
  over = [];
  soon();
}

function takeEndpoint(change) {
  const list = endpointList.peek();
  if (list) {
    const others = list.endpoints.map((one) => (one.name === change.name ? change.endpoint : one));
    if (change.endpoint && !others.includes(change.endpoint)) others.push(change.endpoint);
    endpointList.value = ranked({ ...list, endpoints: others.filter(Boolean) });
  }
  if (change.from !== change.to && change.to) announce(t('endpoint.changed', { name: change.name, state: word('state', change.to) }));
  soon();
}

// In the order in which they are tried; those of equal priority as the file has them.
const ranked = (list) => ({ ...list, endpoints: [...list.endpoints].sort((a, b) => a.priority - b.priority) });

function takeConfig(standing) {
  if (status.peek()) status.value = { ...status.peek(), config: standing };
  revision.value = standing.revision ?? undefined;
  if (standing.refused) toast(t('config.refused_toast'), { kind: 'bad' });
  loadEndpoints();
}

function takeMissed({ events }) {
  toast(events ? t('feed.missed', { n: events }) : t('feed.missed_unknown'));
  epoch.value += 1;
}

// Figures of endpoints change with every request; they are asked for at most this often, and only while somebody looks.
let timer;
function soon() {
  timer ??= setTimeout(() => {
    timer = undefined;
    if (document.visibilityState === 'visible') loadEndpoints();
  }, ENDPOINTS_EVERY_MS);
}

// Grows when what could not be had because the proxy was away can be asked for again.
export function useReturns(problem) {
  const [times, setTimes] = useState(0);
  useEffect(() => {
    if (problem?.code === 'unreachable') setTimes((old) => old + 1);
  }, [returns.value]);
  return times;
}

export async function loadEndpoints() {
  if (locked.peek()) return;
  try {
    endpointList.value = ranked(await get('/api/endpoints'));
  } catch {
    // The banner says that the proxy is gone, or the login form is up.
  }
}
