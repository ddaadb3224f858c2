/* rowcast.js as a module: import { rowcast } from "./rowcast.mjs". */
import "./rowcast.js";

export const { rowcast } = globalThis;
export default rowcast;
