#!/bin/sh
# TAP::Harness 3.44 (prove, Debian 12's perl 5.36): a stream of TAP 14, which its specification makes readable for consumers
# of TAP 13.  A good guess: with all tests ok prove passes, and what it does not know is shown or skipped.
# Seen: the line "TAP version 14" alone makes the run fail ("but we don't know about versions later than 13") although each
# test is reported ok; YAML and the rest is read as ever.  And escapes, which TAP 13 knows too ("\#" in a description), stay
# in names as they are.  Producers for such consumers must say 13, or write no version.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq perl-modules-5.36=5.36.0-7+deb12u4 2>/dev/null
dpkg -x perl-modules-5.36_5.36.0-*.deb .
echo "perl-modules-5.36 $(dpkg-deb -f perl-modules-5.36_*.deb Version)"
for version in 13 14; do
  printf 'TAP version %s\nok 1 - first \\# one\n  ---\n  at: here\n  ...\n1..1\n' "$version" > "$version.tap"
done
perl -I "$folder/usr/share/perl/5.36.0" - <<'PERL'
use strict;
use TAP::Parser;
my %problems;
print "TAP::Parser $TAP::Parser::VERSION\n";
for my $version (13, 14) {
    my $parser = TAP::Parser->new({ source => "$version.tap" });
    my $name = "";
    while (my $result = $parser->next) { $name = $result->description if $result->is_test }
    my @errors = $parser->parse_errors;
    $problems{$version} = $parser->has_problems;
    print "version $version: ", scalar $parser->passed, " passed, name '$name', problems: ",
      $problems{$version} ? "@errors" : "none", "\n";
}
exit($problems{13} || !$problems{14} ? 1 : 0);
PERL
