-- A shop on SQLite, as postgresql.sql: name | kind | key | rows | promise.

-- expect: customers | table | id | 200 | window
CREATE TABLE customers (
  id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
  name TEXT NOT NULL,
  born DATE
);
WITH RECURSIVE count(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < 200)
INSERT INTO customers (name) SELECT 'Customer ' || n FROM count;

-- expect: products | table | sku | 50 | window
CREATE TABLE products (
  sku VARCHAR(12) PRIMARY KEY,
  title TEXT NOT NULL,
  price DECIMAL(12, 2) NOT NULL CHECK (price >= 0),
  details JSON NOT NULL DEFAULT '{}'
);
WITH RECURSIVE count(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < 50)
INSERT INTO products SELECT 'SKU-' || n, 'Thing ' || n, n, '{}' FROM count;

-- expect: Orders | table | Order Id | 0 | full
CREATE TABLE "Orders" (
  "Order Id" INTEGER PRIMARY KEY AUTOINCREMENT,
  "Customer" TEXT REFERENCES customers,
  "State" TEXT NOT NULL DEFAULT 'new',
  "Placed At" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
);

-- expect: order_items | table | order_id, line | 0 | window
CREATE TABLE order_items (
  order_id INTEGER NOT NULL REFERENCES "Orders",
  line INTEGER NOT NULL,
  sku TEXT NOT NULL REFERENCES products,
  quantity INTEGER NOT NULL,
  PRIMARY KEY (order_id, line)
);

-- expect: select | table | from | 3 | full
CREATE TABLE "select" ("from" INTEGER PRIMARY KEY AUTOINCREMENT, "order" TEXT, "user" TEXT);
INSERT INTO "select" ("order") VALUES ('a'), ('b'), ('c');

-- expect: payments | table | id | 0 | exceptions
CREATE TABLE payments (
  id INTEGER PRIMARY KEY,
  order_id INTEGER NOT NULL REFERENCES "Orders",
  amount DECIMAL(12, 2) NOT NULL,
  paid_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
);

-- expect: ratings | table | id | 0 | exceptions
CREATE TABLE ratings (id BIGINT PRIMARY KEY, stars SMALLINT NOT NULL CHECK (stars BETWEEN 1 AND 5));

-- expect: clicks | table | id | 100000 | full
CREATE TABLE clicks (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  page TEXT NOT NULL,
  at DATETIME NOT NULL,
  details JSON
);
WITH RECURSIVE count(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < 100000)
INSERT INTO clicks (page, at, details)
SELECT '/products/' || (n % 50), datetime('2026-01-01', n || ' seconds'), json_object('n', n)
FROM count;

-- expect: carts | table | id | 0 | exceptions
CREATE TABLE carts (id INT PRIMARY KEY, customer TEXT REFERENCES customers);

-- expect: imported | table | id | - | exceptions
CREATE TABLE imported (id INTEGER PRIMARY KEY, line TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO imported VALUES (7, 'seven'), (9, 'nine');

-- expect: notes | table | at, body | 0 | window
CREATE TABLE notes (at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, body TEXT);

-- expect: addresses | table | number | 0 | exceptions
CREATE TABLE addresses (id TEXT PRIMARY KEY, street TEXT, number INTEGER NOT NULL UNIQUE);

-- expect: prices | table | id | 0 | exceptions
CREATE TABLE prices (
  sku TEXT NOT NULL REFERENCES products,
  valid_from DATE NOT NULL,
  price DECIMAL(12, 2) NOT NULL,
  id INTEGER NOT NULL,
  PRIMARY KEY (sku, valid_from)
);
CREATE UNIQUE INDEX prices_id ON prices (id);

-- expect: stock_moves | table | number, day | 0 | window
CREATE TABLE stock_moves (
  number INTEGER NOT NULL,
  day DATE NOT NULL,
  moved INTEGER NOT NULL,
  PRIMARY KEY (number, day)
);
-- One of some rows only: two others may have the same number.
CREATE UNIQUE INDEX stock_moves_in ON stock_moves (number) WHERE moved > 0;

-- expect: shelves | table | room, place | - | window
CREATE TABLE shelves (room TEXT, place TEXT, PRIMARY KEY (room, place)) WITHOUT ROWID;

-- expect: flags | table | name | 0 | window
CREATE TABLE flags (name);

-- expect: Lagerplätze & Regale | table | id | 0 | full
CREATE TABLE "Lagerplätze & Regale" (id INTEGER PRIMARY KEY ASC AUTOINCREMENT, wo TEXT);

-- expect: "log.entries" | table | id | 0 | full
CREATE TABLE "log.entries" (id INTEGER PRIMARY KEY AUTOINCREMENT, said TEXT) STRICT;

-- expect: open_orders | view | id, Customer | - | window
CREATE VIEW open_orders AS
SELECT "Order Id" AS id, "Customer" FROM "Orders" WHERE "State" = 'new';

-- expect: takings | view | day, amount | - | window
CREATE VIEW takings AS SELECT date(paid_at) AS day, sum(amount) AS amount FROM payments GROUP BY 1;
