//! `farthing serve`: starting, being told to stop, and refusing to start.

use std::io::Write;
use std::net::{TcpListener, TcpStream};

use super::{NOBODY, Server, folder, run};

#[test]
fn it_says_where_it_listens_and_stops_when_told() {
    let folder = folder(NOBODY, "");
    let server = Server::serve(folder.path());
    let gate = server.text("gate").to_owned();
    assert!(server.said.contains(&format!("listening on {gate}\n")), "{}", server.said);
    assert!(server.text("issuer").starts_with(&gate), "{:?}", server.ready);
    assert_eq!(server.ready["released"], 0);
    assert!(!server.said.contains("warning"), "{}", server.said);
    let socket = folder.path().join("farthing-data/admin.sock");
    assert!(socket.exists());
    TcpStream::connect(gate.trim_start_matches("http://")).unwrap();
    server.signal("TERM");
    let (code, said) = server.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("stopping once what is in flight is done"), "{said}");
    assert!(!socket.exists(), "the command line opens the folder itself from now on");
    Server::serve(folder.path()).stop();
}

#[test]
fn a_second_signal_ends_at_once() {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = folder(&format!("http://{}", upstream.local_addr().unwrap()), "");
    let mut server = Server::serve(folder.path());
    let mut client = TcpStream::connect(server.text("gate").trim_start_matches("http://")).unwrap();
    client.write_all(b"GET /free HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    // The request is in flight: the upstream has it and never answers.
    let _asked = upstream.accept().unwrap();
    server.signal("INT");
    server.wait_for("a second signal ends at once");
    server.signal("TERM");
    let (code, said) = server.end();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("error: ended before what was in flight was done"), "{said}");
}

/// A payment whose upstream still works when the server is told to stop: it is charged and delivered, no other begins, and
/// the start after it finds nothing on hold.
#[test]
fn a_payment_under_way_ends_before_the_stop() {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let price = "[[asset]]\ncode = \"USD\"\n[[price]]\npath = \"/paid\"\namount = \"0.01 USD\"\n";
    let folder = folder(&format!("http://{}", upstream.local_addr().unwrap()), price);
    let server = Server::serve(folder.path());
    let (gate, issuer) = (server.text("gate").to_owned(), server.text("issuer").to_owned());
    let code = run(folder.path(), &["code", "create", "--amount", "1.00 USD"]).ok();
    let code = code["codes"][0].as_str().unwrap().to_owned();
    let purse = tempfile::tempdir().unwrap();
    let redeemed = run(purse.path(), &["wallet", "redeem", &code, "--mint", &issuer, "--wallet", "w"]);
    assert_eq!(redeemed.exit, 0, "{}", redeemed.stderr);
    let (place, page) = (purse.path().to_owned(), format!("{gate}/paid"));
    let payer = std::thread::spawn(move || run(&place, &["pay", &page, "--wallet", "w"]));
    let mut asked = paid_request(&upstream);
    server.signal("TERM");
    // It takes no connection any more, and waits for the one that it has.
    while TcpStream::connect(gate.trim_start_matches("http://")).is_ok() {
        std::thread::yield_now();
    }
    asked.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\npage").unwrap();
    let paid = payer.join().unwrap();
    assert_eq!((paid.exit, paid.stdout.as_str()), (0, "page"), "{}", paid.stderr);
    let (code, said) = server.end();
    assert_eq!(code, Some(0), "{said}");
    let again = Server::serve(folder.path());
    assert_eq!(again.ready["released"], 0, "nothing was left on hold");
    let trial = run(folder.path(), &["ledger", "trial"]).ok();
    assert!(trial.to_string().contains("merchant:example"), "{trial}");
    again.stop();
}

/// Waits for the request that was paid for. The gate may look whether the upstream is there before that.
fn paid_request(upstream: &TcpListener) -> TcpStream {
    loop {
        let (stream, _) = upstream.accept().unwrap();
        let mut head = String::new();
        let mut reader = std::io::BufReader::new(stream.try_clone().unwrap());
        while std::io::BufRead::read_line(&mut reader, &mut head).unwrap() > 2 {}
        if head.to_ascii_lowercase().contains("farthing-payment: ") {
            return stream;
        }
    }
}

#[test]
fn a_second_server_on_the_same_folder_is_refused() {
    let folder = folder(NOBODY, "");
    let server = Server::serve(folder.path());
    let second = run(folder.path(), &["serve"]);
    assert_eq!((second.exit, second.stdout.as_str()), (1, ""));
    assert!(second.stderr.contains("is in use by another program"), "{}", second.stderr);
    assert!(second.stderr.contains("\n\nhint: a server or another command has it"), "{}", second.stderr);
    assert_eq!(run(folder.path(), &["ledger", "trial"]).ok()["balances"], true, "the first still answers");
    server.stop();
}

#[test]
fn a_taken_address_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = folder(NOBODY, "");
    let file = folder.path().join("farthing.toml");
    let config = std::fs::read_to_string(&file).unwrap().replace("127.0.0.1:0", &address);
    std::fs::write(&file, config).unwrap();
    let refused = run(folder.path(), &["serve"]);
    assert_eq!(refused.exit, 1);
    assert!(refused.stderr.contains(&format!("cannot listen on {address}: ")), "{}", refused.stderr);
}

#[test]
fn test_funding_is_warned_of() {
    let folder = folder(NOBODY, "test_funding = true\n");
    let server = Server::serve(folder.path());
    assert!(server.said.contains("warning: anyone can make credits for nothing"), "{}", server.said);
    assert_eq!(server.ready["test_funding"], true);
    server.stop();
}

#[test]
fn without_a_passphrase_nothing_starts() {
    let folder = folder(NOBODY, "");
    let file = folder.path().join("farthing.toml");
    let config = std::fs::read_to_string(&file).unwrap().replace("passphrase_file = \"passphrase\"\n", "");
    std::fs::write(&file, config).unwrap();
    for command in [&["serve"][..], &["code", "create", "--amount", "1.00 USD"], &["ledger", "verify"]] {
        let refused = run(folder.path(), command);
        assert_eq!((refused.exit, refused.stdout.as_str()), (78, ""), "{command:?}");
        assert!(refused.stderr.contains("set passphrase_file in [issuer]"), "{}", refused.stderr);
    }
    assert!(!folder.path().join("farthing-data").exists(), "nothing was made");
}

#[test]
fn a_wrong_passphrase_is_told() {
    let folder = folder(NOBODY, "");
    assert_eq!(run(folder.path(), &["ledger", "trial"]).exit, 0);
    std::fs::write(folder.path().join("passphrase"), "another\n").unwrap();
    let refused = run(folder.path(), &["serve"]);
    assert_eq!(refused.exit, 1);
    assert!(refused.stderr.contains("stays closed"), "{}", refused.stderr);
}

#[test]
fn a_ready_file_that_cannot_be_written_stops_it() {
    let folder = folder(NOBODY, "");
    let refused = run(folder.path(), &["serve", "--ready-file", "absent/ready.json"]);
    assert_eq!(refused.exit, 1);
    assert!(refused.stderr.contains("cannot write the ready file absent/ready.json"), "{}", refused.stderr);
}
