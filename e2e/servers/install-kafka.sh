#!/bin/sh
# Puts the jars of a real Kafka broker into an ignored folder, for the tests that relay to one. Changes nothing on the system and
# needs no root: Maven fetches them from wherever the machine's own settings say, its default being Maven Central.
#
#   sh e2e/servers/install-kafka.sh        prints the folder of the jars; quick when they are there
#
# HEDDLE_TOOLS   folder for such tools, default .heddle/tools under the checkout
#
# Needs Java 17 or later and Maven (Debian: default-jre-headless, maven).
set -eu

version=4.1.1
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
tools=${HEDDLE_TOOLS:-$root/.heddle/tools}
jars=$tools/kafka-$version

if [ -f "$jars/kafka_2.13-$version.jar" ]; then
  echo "$jars"
  exit 0
fi
for command in java mvn; do
  command -v "$command" >/dev/null || { echo "install-kafka: expected $command (Debian: default-jre-headless, maven)" >&2; exit 1; }
done

mkdir -p "$tools"
work=$(mktemp -d "$tools/kafka-install.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM
cat >"$work/pom.xml" <<XML
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>heddle</groupId>
  <artifactId>kafka-broker</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>$version</version>
    </dependency>
  </dependencies>
</project>
XML
(cd "$work" && mvn -q -B -ntp dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$work/jars") >"$work/log" 2>&1 ||
  { cat "$work/log" >&2; exit 1; }
# A rename: two that install at once each leave a whole folder.
mv -T "$work/jars" "$jars" 2>/dev/null || [ -f "$jars/kafka_2.13-$version.jar" ]
echo "$jars"
