// The naive design on Bun, with the calls of the original sketch: `database.query(...)` of pg and `redis.setex(...)` of
// ioredis. Each click is one INSERT and one SETEX, then the answer. It fills the same columns of the same table with the same
// indexes as the server that it is compared with, in a database of its own.
import Redis from "ioredis";
import { Pool } from "pg";

const database = new Pool({ host: process.env.PGSOCKETS, user: "postgres", database: process.env.PGDATABASE, max: 20 });
const redis = new Redis({ path: `${process.env.PGSOCKETS}/redis.sock` });
const [hostname, port] = process.env.LISTEN!.split(":");

Bun.serve({
  hostname,
  port: Number(port),
  async fetch(request) {
    const path = new URL(request.url).pathname;
    if (!path.startsWith("/r/")) return new Response("not found", { status: 404 });
    const code = path.slice("/r/".length);
    const clickId = Bun.randomUUIDv7();
    const sessionId = Bun.randomUUIDv7();
    const agentClass = request.headers.get("user-agent")?.includes("Mobi") ? "mobile" : "desktop";
    await database.query(
      `insert into clicks (click_id, clicked_at, referral_code, partner_id, site_id, developer_hash, session_id, agent_class, bot, counted)
       values ($1, now(), $2, 'supabase', $3, '0123abcd', $4, $5, false, true)`,
      [clickId, code, "00000000-0000-0000-0000-000000000000", sessionId, agentClass],
    );
    await redis.setex(`attribution:supabase:${code}:${sessionId}`, 86400, JSON.stringify({ clickId, timestamp: Date.now() }));
    return new Response(null, {
      status: 302,
      headers: { location: `https://supabase.com/dashboard/new/_?ref=project4site&click_id=${clickId}`, "cache-control": "no-store" },
    });
  },
});
