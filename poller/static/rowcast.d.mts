export * from "./rowcast.js";
export { default } from "./rowcast.js";
