// The live feed. fetch rather than EventSource: it lets us name the last event after any pause, see a 401, notice a
// silence, and say when the next try is.
import { locked, refusal } from './api.js';
import { SseReader } from './sse.js';
import { batch, signal } from './ui.js';

// The proxy sends its status once a second, so this long a silence is a lost connection.
const SILENCE_MS = 8000;
const LONGEST_PAUSE_MS = 10000;

// `state`: opening, open or lost. `retryAt`: milliseconds of this clock.
export const connection = signal({ state: 'opening', attempt: 0, retryAt: 0, why: '' });

let lastId;
let wake = () => {};

// Tries at once instead of at the end of the pause.
export function retryNow() {
  wake();
}

// Never ends. `take(name, data)` gets every event, and `take(null)` follows when those that came together are over;
// `opened(again)` is called before the first event of a connection.
export async function follow(take, opened) {
  let attempt = 0;
  for (;;) {
    try {
      await listen(take, () => {
        opened(attempt > 0 || connection.peek().state === 'lost');
        attempt = 0;
        connection.value = { state: 'open', attempt: 0, retryAt: 0, why: '' };
      });
    } catch (error) {
      attempt += 1;
      const pause = Math.min(LONGEST_PAUSE_MS, 500 * 2 ** attempt);
      connection.value = { state: 'lost', attempt, retryAt: Date.now() + pause, why: String(error.message ?? error) };
      await pauseFor(pause);
    }
  }
}

// Until the time is over or somebody wakes us; asking again is useless while nobody has logged in.
function pauseFor(time) {
  return new Promise((resolve) => {
    const timer = locked.peek() ? undefined : setTimeout(resolve, time);
    wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}

async function listen(take, opened) {
  const stop = new AbortController();
  let watchdog;
  const heard = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => stop.abort(new Error('silence')), SILENCE_MS);
  };
  try {
    heard();
    const headers = { accept: 'text/event-stream' };
    if (lastId !== undefined) headers['last-event-id'] = lastId;
    const answer = await fetch('/api/events', { headers, signal: stop.signal, cache: 'no-store' });
    if (!answer.ok) throw refusal(answer, await answer.text());
    opened();
    const pieces = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    const reader = new SseReader();
    for (;;) {
      const { done, value } = await pieces.read();
      if (done) throw new Error('ended');
      heard();
      batch(() => {
        for (const event of reader.push(value)) pass(event, take);
        take(null);
      });
    }
  } finally {
    clearTimeout(watchdog);
    stop.abort();
  }
}

function pass(event, take) {
  if (event.id !== undefined) lastId = event.id;
  if (event.comment || !event.data) return;
  try {
    take(event.name, JSON.parse(event.data));
  } catch (error) {
    // One event that we cannot use must not end the feed.
    console.warn('event passed over', event.name, error);
  }
}
