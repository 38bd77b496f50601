// Server-sent events: the grammar of the HTML standard, for the live feed and for streams kept in the log.

// Feeds text in pieces; `push` answers the events that are complete by now.
export class SseReader {
  #rest = '';
  #event = blank();

  push(text) {
    // A CR at the very end may be half a CRLF.
    let whole = this.#rest + text;
    const held = whole.endsWith('\r') ? '\r' : '';
    if (held) whole = whole.slice(0, -1);
    const lines = whole.split(/\r\n|\n|\r/);
    this.#rest = lines.pop() + held;
    return lines.map((line) => this.#line(line)).filter(Boolean);
  }

  // What was begun and never ended.
  get unfinished() {
    return this.#rest !== '' || this.#event.raw > 0;
  }

  #line(line) {
    const event = this.#event;
    if (line === '') {
      this.#event = blank();
      if (!event.data.length && !event.name && !event.comments) return null;
      return { id: event.id, name: event.name, data: event.data.join('\n'), size: event.raw + 1, comment: event.comments > 0 && !event.data.length };
    }
    event.raw += sizeOf(line) + 1;
    const [, field, value] = /^([^:]*):? ?([^]*)$/.exec(line);
    if (line.startsWith(':')) event.comments += 1;
    else if (field === 'data') event.data.push(value);
    else if (field === 'event') event.name = value;
    else if (field === 'id') event.id = value;
    return null;
  }
}

const ENCODER = new TextEncoder();

// In bytes, as they went over the wire.
const sizeOf = (line) => ENCODER.encode(line).length;

const blank = () => ({ name: '', data: [], id: undefined, raw: 0, comments: 0 });

export function parseStream(text) {
  const reader = new SseReader();
  const events = reader.push(text);
  return { events, unfinished: reader.unfinished };
}
