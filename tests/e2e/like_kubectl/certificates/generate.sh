#!/bin/sh
# Makes the certificates and keys of this folder, valid for 100 years: sh generate.sh FOLDER. They are test data and protect
# nothing. NAME.pem is chain and key of a server; ca-*.crt sign them; client-*.crt and .key are for users.
set -e
mkdir -p "$1" && cd "$1"
DAYS=36500
write_config() { cat > $1.cnf <<C
[req]
distinguished_name=dn
prompt=no
[dn]
CN=$2
[ca]
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign,digitalSignature
[caserver]
basicConstraints=critical,CA:TRUE
subjectAltName=IP:127.0.0.1,DNS:api.corp.test
[leaf]
basicConstraints=CA:FALSE
subjectAltName=IP:127.0.0.1,DNS:api.corp.test
extendedKeyUsage=serverAuth
[other]
basicConstraints=CA:FALSE
subjectAltName=DNS:other.test
[client]
basicConstraints=CA:FALSE
extendedKeyUsage=clientAuth
C
}
key() { # name kind
 case $2 in
  rsa*) openssl genrsa -out $1.key ${2#rsa} 2>/dev/null;;
  ed25519) openssl genpkey -algorithm ed25519 -out $1.key;;
  *) openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:$2 -out $1.key;;
 esac; }
ca() { key $1 $2; write_config $1 "$1"; openssl req -new -x509 -days $DAYS $3 -key $1.key -out $1.crt -config $1.cnf -extensions ca; }
leaf() { # name kind ca ext digest [days]
 key $1 $2; write_config $1 "$1"; openssl req -new -key $1.key -config $1.cnf -out $1.csr
 openssl x509 -req -in $1.csr -CA $3.crt -CAkey $3.key -set_serial 0x$(openssl rand -hex 8) -days ${6:-$DAYS} $5 -extfile $1.cnf -extensions $4 -out $1.crt 2>/dev/null; }
ca ca-p256 P-256 -sha256; ca ca-p521 P-521 -sha512; ca ca-rsa rsa2048 -sha256; ca ca-p256-sha512 P-256 -sha512; ca ca-ed25519 ed25519
leaf p256 P-256 ca-p256 leaf -sha256
leaf p256-sha512 P-256 ca-p256 leaf -sha512
leaf p384-sha512 P-384 ca-p256-sha512 leaf -sha512
leaf p521 P-521 ca-p521 leaf -sha512
leaf p521-sha256 P-521 ca-p256 leaf -sha256
leaf ed25519 ed25519 ca-ed25519 leaf
leaf rsa4096 rsa4096 ca-rsa leaf -sha512
leaf sha1 P-256 ca-p256 leaf -sha1
leaf expired P-256 ca-p256 leaf -sha256 0
leaf other-name P-256 ca-p256 other -sha256
leaf ca-as-server P-256 ca-p256 caserver -sha256
leaf intermediate P-384 ca-rsa ca -sha384
leaf below-intermediate P-256 intermediate leaf -sha256
leaf ca-below-intermediate P-256 intermediate caserver -sha256
key self P-256; write_config self self; openssl req -new -x509 -days $DAYS -sha256 -key self.key -out self.crt -config self.cnf -extensions caserver
leaf client-rsa rsa2048 ca-p256 client -sha256; leaf client-p256 P-256 ca-p256 client -sha256; leaf client-p521 P-521 ca-p521 client -sha512; leaf client-ed25519 ed25519 ca-p256 client -sha256
openssl rsa -in client-rsa.key -traditional -out client-rsa-pkcs1.key 2>/dev/null
openssl ecparam -name prime256v1 > client-p256-sec1.key; openssl ec -in client-p256.key >> client-p256-sec1.key 2>/dev/null
openssl pkcs8 -topk8 -in client-p256.key -out client-p256-encrypted.key -passout pass:test 2>/dev/null
for n in p256 p256-sha512 p384-sha512 p521 p521-sha256 ed25519 rsa4096 sha1 expired other-name ca-as-server self; do cat $n.crt $n.key >$n.pem; done
for n in below-intermediate ca-below-intermediate; do cat $n.crt intermediate.crt $n.key >$n.pem; done
find . -name "*.crt" ! -name "ca-*.crt" ! -name "client-*.crt" ! -name self.crt ! -name p256.crt -delete
find . -name "*.key" ! -name "client-*.key" -delete
rm -f ca-as-server.crt ca-below-intermediate.crt *.csr *.cnf

