// Bodies of the Messages API as values: read whole or as far as the log kept them, and put together from a stream.
import { parseStream } from './sse.js';

// JSON, or as much of it as there is: what is cut off ends where it was cut.
export function readJson(text, truncated) {
  try {
    return { value: JSON.parse(text), whole: true };
  } catch {
    return { value: truncated ? new Reader(text).read() : undefined, whole: false };
  }
}

const CLOSERS = { '{': '}', '[': ']' };

// Closes what is open at the end of a text that was cut, dropping the last token where it is no value.
class Reader {
  constructor(text) {
    this.text = text;
  }

  read() {
    const open = [];
    let inString = false;
    // The last place at which the text, closed, is JSON; and what has to be closed there.
    let safe = null;
    for (let at = 0; at < this.text.length; at += 1) {
      const char = this.text[at];
      if (inString) {
        if (char === '\\') at += 1;
        else if (char === '"') inString = false;
      } else if (char === '"') inString = true;
      else if (char in CLOSERS) {
        open.push(CLOSERS[char]);
        safe = { at: at + 1, open: [...open] };
      } else if (char === '}' || char === ']') {
        open.pop();
        safe = { at: at + 1, open: [...open] };
      } else if (char === ',') safe = { at, open: [...open] };
    }
    return (inString ? this.#closed(this.text.length, open, '"') : undefined) ?? (safe ? this.#closed(safe.at, safe.open, '') : undefined);
  }

  #closed(at, open, end) {
    const close = [...open].reverse().join('');
    // A cut inside an escape leaves a lone backslash or half a \u.
    const head = end ? this.text.slice(0, at).replace(/\\(u[0-9a-f]{0,3})?$/i, '') : this.text.slice(0, at);
    try {
      return JSON.parse(head + end + close);
    } catch {
      return undefined;
    }
  }
}

// The message that a stream told, as far as it told it.
export function assemble(text) {
  const { events, unfinished } = parseStream(text);
  const told = { message: {}, content: [], usage: {}, error: null, unfinished };
  const parsed = events.map((event, index) => ({ ...event, index, value: valueOf(event) }));
  for (const { value } of parsed) if (value) applied(told, value);
  return { ...told, events: parsed };
}

function valueOf(event) {
  try {
    return JSON.parse(event.data);
  } catch {
    return undefined;
  }
}

function applied(told, event) {
  if (event.type === 'message_start') {
    told.message = event.message ?? {};
    Object.assign(told.usage, event.message?.usage);
  } else if (event.type === 'content_block_start') told.content[event.index] = { ...event.content_block, partial: '' };
  else if (event.type === 'content_block_delta') grow(told.content[event.index], event.delta ?? {});
  else if (event.type === 'content_block_stop') close(told.content[event.index]);
  else if (event.type === 'message_delta') {
    Object.assign(told.message, event.delta);
    Object.assign(told.usage, event.usage);
  } else if (event.type === 'error') told.error = event.error ?? event;
}

function grow(block, delta) {
  if (!block) return;
  if (typeof delta.text === 'string') block.text = (block.text ?? '') + delta.text;
  if (typeof delta.thinking === 'string') block.thinking = (block.thinking ?? '') + delta.thinking;
  if (typeof delta.partial_json === 'string') block.partial += delta.partial_json;
}

// A tool's input comes in pieces of JSON.
function close(block) {
  if (block?.partial) block.input = readJson(block.partial, true).value ?? block.partial;
}

// The answer's blocks, from a stream or from one JSON object.
export function answerOf(record) {
  const { body, encoding, truncated } = record.response;
  if (!body || encoding) return null;
  if (/^\s*[{[]/.test(body)) {
    const { value } = readJson(body, truncated);
    if (value?.type === 'error') return { error: value.error, content: [], message: {}, usage: {} };
    return value?.content ? { message: value, content: value.content, usage: value.usage ?? {}, error: null } : null;
  }
  const told = assemble(body);
  if (!told.events.length) return null;
  told.content.filter(Boolean).forEach((block) => block.partial && !block.input?.length && close(block));
  return told;
}

export const textOf = (content) => (typeof content === 'string' ? content : (content ?? []).map((block) => block?.text ?? '').join('\n'));
