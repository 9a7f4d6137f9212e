// As server.ts, with the clients for Postgres and Redis that Bun brings along: each click is one INSERT and one SETEX, then the
// answer.
import { RedisClient, SQL } from "bun";

const sql = new SQL({
  adapter: "postgres",
  path: `${process.env.PGSOCKETS}/.s.PGSQL.5432`,
  username: "postgres",
  database: process.env.PGDATABASE!,
  max: 20,
});
const redis = new RedisClient(process.env.REDIS_URL!);
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
    const now = new Date();
    const agentClass = request.headers.get("user-agent")?.includes("Mobi") ? "mobile" : "desktop";
    await sql`insert into clicks (click_id, clicked_at, referral_code, partner_id, site_id, developer_hash, session_id, agent_class, bot, counted)
      values (${clickId}, ${now}, ${code}, 'supabase', '00000000-0000-0000-0000-000000000000', '0123abcd', ${sessionId}, ${agentClass}, false, true)`;
    await redis.send("SETEX", [`attribution:supabase:${code}:${sessionId}`, "86400", JSON.stringify({ clickId, clickedAt: now })]);
    return new Response(null, {
      status: 302,
      headers: { location: `https://supabase.com/dashboard/new/_?ref=project4site&click_id=${clickId}`, "cache-control": "no-store" },
    });
  },
});
