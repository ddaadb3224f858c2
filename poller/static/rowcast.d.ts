/* The types of rowcast.js, which makes `rowcast` and `<row-cast>` known everywhere. */

/** What the connection is doing. `until`: when it tries again, in ms since the epoch. */
export type State =
  | { name: "connecting" | "closed" }
  | { name: "catching-up" | "live"; clockAheadMs: number }
  | { name: "waiting" | "offline"; until: number };

/** A row of which only the id could be read. */
export interface Unreadable {
  id: number | string;
  reason: string;
}

export interface Options<Row> {
  /** Where to begin: the token of a page, "0" for the whole table; by default with new rows. */
  from?: string | null;
  /** The column by which a row is known again: "id". */
  key?: string;
  /** Whether tabs share one connection: true. */
  share?: boolean;
  /** For fetch(), as for headers of your own. With it, nothing is shared. */
  init?: RequestInit;
  /** After so much silence a connection counts as dead: 40,000 ms. */
  silenceMs?: number;
  onRow?: (row: Row) => void;
  /** The rows that you have may be wrong: load them again. Rows go on coming. */
  onReset?: (reason: string) => void;
  onUnreadable?: (row: Unreadable) => void;
  onState?: (state: State) => void;
}

export interface Source {
  /** Ends it for good. */
  close(): void;
  readonly state: State;
  /** Names all rows that were handed out; a later `from`. */
  readonly lastEventId: string;
}

export interface ServerSentEvent {
  type: string;
  data: string;
  id: string;
}

/** Reads the format of Server-Sent Events, in pieces of any size. */
declare class EventParser {
  constructor(options: {
    onEvent: (event: ServerSentEvent) => void;
    onRetry?: (ms: number) => void;
    lastEventId?: string;
  });
  readonly lastEventId: string;
  push(text: string): void;
}

export interface Rowcast {
  /** Reads a stream until it is closed. */
  <Row = Record<string, unknown>>(url: string | URL, options?: Options<Row>): Source;
  EventParser: typeof EventParser;
}

declare global {
  var rowcast: Rowcast;
  interface HTMLElementTagNameMap {
    "row-cast": HTMLElement;
  }
  interface GlobalEventHandlersEventMap {
    "rowcast:row": CustomEvent<{ row: Record<string, unknown>; element?: HTMLElement }>;
    "rowcast:reset": CustomEvent<{ reason: string }>;
    "rowcast:unreadable": CustomEvent<Unreadable>;
    "rowcast:state": CustomEvent<State>;
  }
}

export {};
