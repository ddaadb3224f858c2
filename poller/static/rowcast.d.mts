/* The types of rowcast.mjs. */
import type { Rowcast } from "./rowcast.js";

export type * from "./rowcast.js";
export declare const rowcast: Rowcast;
export default rowcast;
