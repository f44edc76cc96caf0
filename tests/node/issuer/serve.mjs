// Starts oidc-provider, a certified authorization server that nobody here wrote, on a free port of loopback, and prints its
// name. Ends when stdin does, so that it outlives no test.
//
// It registers whoever asks, and the person at the browser is `ann`, who agrees to everything. Its access tokens are JWTs (RFC 9068)
// for the resource that was asked for. Beside it: `POST /sign {header, claims}` gives a token as a test wants it, signed by the
// issuer's own keys (`RS256`, `ES256`, `EdDSA`), by a key that it does not publish (`kid: "foreign"`), or badly; `POST /rotate` replaces
// the keys that are published; `GET /looks` says how often they were asked for.
import { createServer } from "node:http";
import { createHmac, createPublicKey, generateKeyPairSync, sign as signed } from "node:crypto";
import { Provider } from "oidc-provider";

const SCOPES = ["openid", "offline_access", "read", "run", "edit", "approve", "admin"];

const pair = {
    RS256: () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
    ES256: () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
    EdDSA: () => generateKeyPairSync("ed25519"),
};

function keys(generation) {
    return Object.entries(pair).map(([alg, make]) => {
        return { alg, kid: `${alg}-${generation}`, key: make().privateKey };
    });
}

const foreign = keys(0);
let own = keys(1);
let generation = 1;
let looks = 0;

function part(value) {
    return Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
}

/** A token as a test wants it. */
function token({ header, claims }) {
    const of = header.kid === "foreign" ? foreign : own;
    const found = of.find(({ alg }) => alg === header.alg) ?? of[0];
    const head = { alg: found.alg, typ: "at+jwt", kid: found.kid, ...header };
    if (head.kid === "foreign") head.kid = own.find(({ alg }) => alg === found.alg).kid;
    const text = `${part(head)}.${part(claims)}`;
    if (head.alg === "none") return `${text}.`;
    if (head.alg === "HS256") {
        // The oldest trick: what is published, taken for a shared secret.
        const pem = createPublicKey(found.key).export({ type: "spki", format: "pem" });
        return `${text}.${createHmac("sha256", pem).update(text).digest("base64url")}`;
    }
    const digest = found.alg === "EdDSA" ? null : "sha256";
    const signature = signed(digest, Buffer.from(text), { key: found.key, dsaEncoding: "ieee-p1363" });
    return `${text}.${signature.toString("base64url")}`;
}

function published() {
    return own.map(({ alg, kid, key }) => {
        return { ...createPublicKey(key).export({ format: "jwk" }), alg, kid, use: "sig" };
    });
}

function provided(name) {
    const provider = new Provider(name, {
        clients: [{
            client_id: "robot", client_secret: "a secret of a robot", grant_types: ["client_credentials"],
            response_types: [], redirect_uris: [],
        }],
        jwks: { keys: own.map(({ alg, kid, key }) => ({ ...key.export({ format: "jwk" }), alg, kid, use: "sig" })) },
        scopes: SCOPES,
        claims: { openid: ["sub"] },
        cookies: { keys: ["a key of a test"] },
        findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
        interactions: { url: (_, interaction) => `${name}/interaction/${interaction.uid}` },
        issueRefreshToken: () => true,
        features: {
            devInteractions: { enabled: false },
            clientCredentials: { enabled: true },
            registration: { enabled: true },
            revocation: { enabled: true },
            resourceIndicators: {
                enabled: true,
                getResourceServerInfo: (_, resource) => ({
                    scope: SCOPES.join(" "), audience: resource, accessTokenFormat: "jwt",
                    jwt: { sign: { alg: "ES256" } },
                }),
            },
        },
    });
    provider.on("server_error", (_, error) => console.error(error));
    return provider;
}

/** The person signs in and agrees. */
async function agreed(provider, request, response) {
    const { params } = await provider.interactionDetails(request, response);
    const grant = new provider.Grant({ accountId: "ann", clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    for (const resource of [params.resource].flat()) grant.addResourceScope(resource, params.scope);
    const result = { login: { accountId: "ann" }, consent: { grantId: await grant.save() } };
    await provider.interactionFinished(request, response, result);
}

async function body(request) {
    let text = "";
    for await (const chunk of request) text += chunk;
    return text === "" ? {} : JSON.parse(text);
}

let provider;
let callback;
const server = createServer(async (request, response) => {
    const said = (value) => {
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify(value));
    };
    if (request.url === "/sign") return said({ token: token(await body(request)) });
    if (request.url === "/looks") return said({ looks });
    if (request.url === "/rotate") {
        own = keys(++generation);
        return said({});
    }
    if (request.url === "/jwks") {
        looks += 1;
        return said({ keys: published() });
    }
    if (request.url.startsWith("/interaction/")) return agreed(provider, request, response);
    return callback(request, response);
});
server.listen(0, "127.0.0.1", () => {
    const name = `http://127.0.0.1:${server.address().port}`;
    provider = provided(name);
    callback = provider.callback();
    console.log(name);
});
process.stdin.resume();
process.stdin.on("close", () => process.exit(0));
