-- A shop on MariaDB, as postgresql.sql: name | kind | key | rows | promise. As installed, MariaDB
-- does not show its metadata locks, so that nothing is promised in full.

-- expect: customers | table | id | 200 | window
CREATE TABLE customers (
  id uuid PRIMARY KEY DEFAULT uuid(),
  name varchar(80) NOT NULL,
  born date
);
INSERT INTO customers (name) SELECT concat('Customer ', seq) FROM seq_1_to_200;

-- expect: products | table | sku | 50 | window
CREATE TABLE products (
  sku varchar(12) PRIMARY KEY,
  title varchar(80) NOT NULL,
  price decimal(12, 2) NOT NULL CHECK (price >= 0),
  details json NOT NULL DEFAULT '{}'
);
INSERT INTO products SELECT concat('SKU-', seq), concat('Thing ', seq), seq, '{}' FROM seq_1_to_50;

-- expect: Orders | table | Order Id | 0 | exceptions
CREATE TABLE `Orders` (
  `Order Id` bigint AUTO_INCREMENT PRIMARY KEY,
  `Customer` uuid REFERENCES customers (id),
  `State` enum('new', 'paid', 'sent', 'back') NOT NULL DEFAULT 'new',
  `Placed At` datetime(6) NOT NULL DEFAULT now(6)
);

-- expect: order_items | table | order_id, line | 0 | window
CREATE TABLE order_items (
  order_id bigint NOT NULL REFERENCES `Orders` (`Order Id`),
  line smallint NOT NULL,
  sku varchar(12) NOT NULL REFERENCES products (sku),
  quantity int NOT NULL,
  PRIMARY KEY (order_id, line)
);

-- expect: select | table | from | 3 | exceptions
CREATE TABLE `select` (
  `from` int unsigned AUTO_INCREMENT PRIMARY KEY,
  `order` text,
  `user` text
);
INSERT INTO `select` (`order`) VALUES ('a'), ('b'), ('c');

-- expect: payments | table | id | 0 | exceptions
CREATE TABLE payments (
  id serial PRIMARY KEY,
  order_id bigint NOT NULL REFERENCES `Orders` (`Order Id`),
  amount decimal(12, 2) NOT NULL,
  paid_at timestamp NOT NULL DEFAULT now()
);

-- expect: ratings | table | id | 0 | exceptions
CREATE TABLE ratings (
  id mediumint AUTO_INCREMENT PRIMARY KEY,
  stars tinyint NOT NULL CHECK (stars BETWEEN 1 AND 5)
);

-- expect: clicks | table | id | 100000 | exceptions
CREATE TABLE clicks (
  id bigint AUTO_INCREMENT PRIMARY KEY,
  page varchar(200) NOT NULL,
  at datetime(3) NOT NULL,
  details json
);
INSERT INTO clicks (page, at, details)
SELECT concat('/products/', seq % 50), '2026-01-01' + INTERVAL seq SECOND, json_object('n', seq)
FROM seq_1_to_100000;

-- expect: carts | table | id | 0 | exceptions
CREATE TABLE carts (id bigint AUTO_INCREMENT PRIMARY KEY, customer uuid) ENGINE = MyISAM;

-- expect: imported | table | id | 2 | exceptions
CREATE TABLE imported (id int PRIMARY KEY, line text NOT NULL);
INSERT INTO imported VALUES (7, 'seven'), (9, 'nine');

-- expect: notes | table | at, body | 0 | window
CREATE TABLE notes (at datetime NOT NULL DEFAULT now(), body text);

-- expect: addresses | table | number | 0 | exceptions
CREATE TABLE addresses (
  id uuid PRIMARY KEY DEFAULT uuid(),
  street varchar(80),
  number bigint NOT NULL AUTO_INCREMENT UNIQUE
);

-- expect: prices | table | id | 0 | exceptions
CREATE TABLE prices (
  sku varchar(12) NOT NULL REFERENCES products (sku),
  valid_from date NOT NULL,
  price decimal(12, 2) NOT NULL,
  id int NOT NULL AUTO_INCREMENT,
  PRIMARY KEY (sku, valid_from),
  INDEX (id)
);

-- expect: stock_moves | partitioned table | id | 3000 | exceptions
CREATE TABLE stock_moves (
  id bigint NOT NULL AUTO_INCREMENT,
  day date NOT NULL,
  sku varchar(12) NOT NULL,
  moved int NOT NULL,
  PRIMARY KEY (id, day)
) PARTITION BY RANGE COLUMNS (day) (
  PARTITION before_2026 VALUES LESS THAN ('2026-01-01'),
  PARTITION later VALUES LESS THAN (MAXVALUE)
);
INSERT INTO stock_moves (day, sku, moved)
SELECT '2026-01-01' + INTERVAL seq % 300 DAY, 'SKU-1', seq FROM seq_1_to_3000;

-- expect: shelves | partitioned table | room, place | 0 | window
CREATE TABLE shelves (
  room int NOT NULL,
  place int NOT NULL,
  PRIMARY KEY (room, place)
) PARTITION BY HASH (room) PARTITIONS 2;

-- expect: flags | table | name | 0 | window
CREATE TABLE flags (name char(9) PRIMARY KEY, raised bit(1), year year);

-- expect: Lagerplätze & Regale | table | id | 0 | exceptions
CREATE TABLE `Lagerplätze & Regale` (id smallint AUTO_INCREMENT PRIMARY KEY, wo text);

-- expect: "log.entries" | table | id | 0 | exceptions
CREATE TABLE `log.entries` (id bigint AUTO_INCREMENT PRIMARY KEY, said text)
  WITH SYSTEM VERSIONING;

-- expect: open_orders | view | id, Customer | - | window
CREATE VIEW open_orders AS
SELECT `Order Id` AS id, `Customer` FROM `Orders` WHERE `State` = 'new';

-- expect: takings | view | day, amount | - | window
CREATE VIEW takings AS SELECT date(paid_at) AS day, sum(amount) AS amount FROM payments GROUP BY 1;

ANALYZE TABLE clicks, customers, products, stock_moves;
