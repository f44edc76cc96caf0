// For servers of the tests that take a port: `PORT=0 node --require ./port.cjs SERVER` lets the system choose one, and
// writes it to the file that PORT_FILE names. A port by number would be somebody else's one day.
const fs = require("node:fs");
const net = require("node:net");

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (...args) {
    this.once("listening", () => {
        fs.writeFileSync(`${process.env.PORT_FILE}.draft`, String(this.address().port));
        fs.renameSync(`${process.env.PORT_FILE}.draft`, process.env.PORT_FILE);
    });
    return listen.apply(this, args);
};
