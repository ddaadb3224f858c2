// A development server as those of React, Next and Nuxt: Express compresses what it proxies.
// node compressing.mjs PORT UPSTREAM
import compression from "compression";
import express from "express";
import { createProxyMiddleware } from "http-proxy-middleware";

const [port, target] = process.argv.slice(2);
express()
  .use(compression())
  .use(createProxyMiddleware({ target }))
  .listen(Number(port), "127.0.0.1");
