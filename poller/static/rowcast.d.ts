/* The types of rowcast.js, which makes `rowcast` and `<row-cast>` known everywhere. */

/**
 * What the connection is doing. `until`: when it tries again, in ms since the epoch. `refused`: the
 * server said 401 or 403; it does not try again.
 */
export type State =
  | { name: "connecting" | "closed" }
  | { name: "refused"; status: 401 | 403 }
  | { name: "catching-up" | "live"; clockAheadMs: number }
  | { name: "waiting" | "offline"; until: number };

/** A row of which only the columns of the key could be read. */
export interface Unreadable {
  reason: string;
  [column: string]: unknown;
}

export interface Options<Row> {
  /** Where to begin: the token of a page, "0" for the whole table; by default with new rows. */
  from?: string | null;
  /** The column or columns by which a row is known again: what the stream says, else "id". */
  key?: string | string[];
  /** Whether tabs share one connection: true. */
  share?: boolean;
  /** Whether a stream of another origin gets the cookies that belong to it: false. */
  withCredentials?: boolean;
  /** For fetch(), as for headers of your own. With it, nothing is shared. */
  init?: RequestInit;
  /** After so much silence a connection counts as dead: 40,000 ms. */
  silenceMs?: number;
  /** A new row, or a changed one: which of them, its key tells. */
  onRow?: (row: Row) => void;
  /** The row with that key is gone; you may not have it. */
  onDelete?: (key: Partial<Row>) => void;
  /** All rows are gone; those that are there follow. */
  onClear?: () => void;
  /** The rows that you have may be wrong: load them again. Rows go on coming. */
  onReset?: (reason: string) => void;
  onUnreadable?: (row: Unreadable) => void;
  onState?: (state: State) => void;
}

export interface Source {
  /** Ends it for good. */
  close(): void;
  /** Tries at once, if it waits to connect again. */
  retryNow(): void;
  readonly state: State;
  /** The columns that name a row. */
  readonly key: readonly string[];
  /** Whether rows of this feed may change and go; known from the first event on. */
  readonly changes: boolean;
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

type Columns = Record<string, unknown>;

export interface RowCastElement extends HTMLElement {
  /** The order of the rows, in place of `order-by`. */
  compare?: (a: Columns, b: Columns) => number;
  /** Orders them again, after another `compare` was set. */
  sort(): void;
}

export interface Rowcast {
  /** Reads a stream until it is closed. */
  <Row = Columns>(url: string | URL, options?: Options<Row>): Source;
  EventParser: typeof EventParser;
}

declare global {
  var rowcast: Rowcast;
  interface HTMLElementTagNameMap {
    "row-cast": RowCastElement;
  }
  interface GlobalEventHandlersEventMap {
    "rowcast:row": CustomEvent<{ row: Columns; element?: HTMLElement; known: boolean }>;
    "rowcast:delete": CustomEvent<{ key: Columns; element?: HTMLElement }>;
    "rowcast:clear": CustomEvent<Record<string, never>>;
    "rowcast:reset": CustomEvent<{ reason: string }>;
    "rowcast:unreadable": CustomEvent<Unreadable>;
    "rowcast:state": CustomEvent<State>;
  }
}

export {};
